# The image of category-publisher and category-consumer; docs/docker.md explains how to use it.
#
# Both stages have one base, since the virtual environment that is copied from the first to the second
# refers to its Python. The tests run on Python 3.11 on bookworm. The patch release is left open, so
# that a new build gets the security fixes.
FROM python:3.11-slim-bookworm AS base


FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# The build system is locked too. With build isolation pip would fetch the newest hatchling,
# unchecked; requirements-dev.txt would also install the linters and test tools.
COPY requirements-build.txt ./
RUN pip install --require-hashes --only-binary :all: -r requirements-build.txt

# Before the source, so that a change of the source does not reinstall the dependencies.
COPY requirements.txt ./
RUN python -m venv --without-pip /opt/category-publisher \
 && pip --python /opt/category-publisher/bin/python \
    install --require-hashes --only-binary :all: -r requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY plumbing plumbing
COPY publisher publisher
COPY consumers consumers
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/category-publisher/bin/python install --no-deps --no-index dist/*.whl


FROM base
LABEL org.opencontainers.image.title="category-publisher" \
      org.opencontainers.image.description="TikTok Shop's category tree in Redis, and every change of it on a Redis Stream" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"

# A fixed number, so that the owner of the files in a volume is the same for each image.
RUN groupadd --gid 10001 publisher \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home \
    --shell /usr/sbin/nologin publisher \
 && install --directory --owner=publisher --group=publisher --mode=0700 /data
COPY --from=build /opt/category-publisher /opt/category-publisher

# The commands look for publisher.toml in the working directory and write to /data only.
ENV PATH=/opt/category-publisher/bin:$PATH \
    CATEGORY_PUBLISHER_DATA_DIR=/data
WORKDIR /etc/category-publisher
VOLUME /data
USER 10001:10001

# No HEALTHCHECK: it depends on the command and on the port. docker-compose.yml has one for each of
# its services.
STOPSIGNAL SIGTERM
ENTRYPOINT ["category-publisher"]
CMD ["run"]
