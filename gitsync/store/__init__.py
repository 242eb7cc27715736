"""What is kept: SQL (SQLite or PostgreSQL) behind the `Store` port, the journal of agent facts, the local cache.

Here belong tables, migrations, statements, the stored form of values, and the translation of driver errors.
Not here: decisions about releases or agents (those are made before anything is written), and retention rules other
than "what is still needed".

Rules
- Every change is one transaction. A guarded write repeats what it read (lease epoch, `seq`) inside that transaction.
- Leases and connection epochs are compared in database time only.
- Nothing of the database library leaves this package, errors included.
"""

from gitsync.store.cache import LocalCache
from gitsync.store.engine import StoreOptions
from gitsync.store.journal import Journal, JournalLimits
from gitsync.store.sql import SqlStore

__all__ = ["Journal", "JournalLimits", "LocalCache", "SqlStore", "StoreOptions"]
