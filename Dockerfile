# syntax=docker/dockerfile:1
FROM python:3.11.14-slim-bookworm AS build
RUN python -m venv /opt/herald
COPY requirements.lock /tmp/requirements.lock
RUN /opt/herald/bin/python -m pip install --no-cache-dir --require-hashes -r /tmp/requirements.lock

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/herald /opt/herald
COPY bot /app/bot
COPY cogs /app/cogs
ENV PATH=/opt/herald/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/herald.db \
    HERALD_CONFIG=/data/herald.toml \
    LOG_FORMAT=json
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin herald \
    && install --directory --owner=herald --mode=0700 /data
USER herald
WORKDIR /data
VOLUME /data
# SIGTERM lets what is in flight finish, record and announce itself.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
