# Another base: --build-arg BASE=... Both stages take the same one, since the virtual environment points at its interpreter.
ARG BASE=python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c

# hadolint ignore=DL3006
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /venv
COPY requirements/run.txt requirements/run.txt
RUN python -m pip --python /venv/bin/python install --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY providers providers
COPY gateway gateway
# The build tools have done their work once the wheel is made.
RUN python -m pip --python /venv/bin/python wheel --no-index --no-deps --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /venv/bin/python install --no-index --no-deps dist/*.whl \
 && python -m pip --python /venv/bin/python uninstall --yes editables hatchling pathspec pluggy tomlkit trove-classifiers \
 && python -m pip --python /venv/bin/python check

# hadolint ignore=DL3006
FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Banjia" \
      org.opencontainers.image.description="An OpenAI-compatible gateway that moves code written for OpenAI to other providers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="Banjia contributors" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
 && groupadd --gid 10001 banjia \
 && useradd --no-log-init --uid 10001 --gid 10001 --home-dir /var/lib/banjia --no-create-home --shell /usr/sbin/nologin banjia \
 && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/banjia
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The only place it writes to, besides /tmp: paths in the configuration that are relative start here.
WORKDIR /var/lib/banjia
VOLUME /var/lib/banjia
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Without a proxy, whatever the environment says of one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8080/healthz', timeout=3)"]
ENTRYPOINT ["banjia"]
CMD ["serve", "--config", "/etc/banjia", "--host", "0.0.0.0"]
