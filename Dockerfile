# syntax=docker/dockerfile:1
# Stage 1 makes the wheel; stage 2 has what is needed to run it, and nothing to build with.
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
COPY requirements/build.txt requirements/build.txt
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY examples examples
COPY docs/reference/diagnostics docs/reference/diagnostics
COPY gitsync gitsync
RUN python -m hatchling build -t wheel -d /wheels

FROM python:${PYTHON_VERSION}-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/run.txt /tmp/run.txt
RUN python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/run.txt && rm /tmp/run.txt
COPY --from=build /wheels/*.whl /tmp/
RUN python -m pip install --no-cache-dir --no-deps /tmp/*.whl && rm /tmp/*.whl

# ssh wants a user with a name; 4320 is no privileged port.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/gitsync --shell /usr/sbin/nologin gitsync \
    && install -d -o gitsync -g gitsync -m 0700 /var/lib/gitsync \
    && install -d -m 0755 /etc/certs /etc/configs
USER 10001:10001
WORKDIR /var/lib/gitsync
ENV GITSYNC_DATA_DIR=/var/lib/gitsync \
    PYTHONUNBUFFERED=1

# Agents (OpAMP), and people, webhooks and probes (REST, /healthz, /readyz, /metrics).
EXPOSE 4320 8080
# Keys, the mirror and SQLite. Certificates and settings are mounted to /etc/certs and /etc/configs.
VOLUME ["/var/lib/gitsync"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["gitsync"]
CMD ["serve"]
