"""Receivers of logs: files, sockets, the journal, and the operators behind them (contrib's pkg/stanza).

A receiver is built of operators, the first of which reads. What is decoded wrongly (an unknown operator, a bad field)
is refused wherever it is declared; what an operator's `Build` checks counts only when a pipeline uses the receiver.
"""
