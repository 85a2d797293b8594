# The image of category-publisher and category-consumer; docs/docker.md says how to use it.
#
# Both stages are of one base, since the virtual environment that goes from the first to the second
# points to its Python. Python 3.11 on bookworm is what the tests run on. The patch release is left
# open, so that building anew brings the security fixes.
FROM python:3.11-slim-bookworm AS base


FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# What builds the wheel is locked too. With build isolation pip would fetch the newest hatchling,
# unchecked; from requirements-dev.txt it would bring the linters and test tools along.
COPY requirements-build.txt ./
RUN pip install --require-hashes --only-binary :all: -r requirements-build.txt

# Before the source, so that a change of the source alone does not install it all again.
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

# A fixed number, so that the owner of what is in a volume stays the same from image to image.
RUN groupadd --gid 10001 publisher \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home \
    --shell /usr/sbin/nologin publisher \
 && install --directory --owner=publisher --group=publisher --mode=0700 /data
COPY --from=build /opt/category-publisher /opt/category-publisher

# publisher.toml is looked for in the working directory; everything written goes to /data.
ENV PATH=/opt/category-publisher/bin:$PATH \
    CATEGORY_PUBLISHER_DATA_DIR=/data
WORKDIR /etc/category-publisher
VOLUME /data
USER 10001:10001

# No HEALTHCHECK: only who starts it knows what it runs and where that listens. docker-compose.yml has
# one for each of its services.
STOPSIGNAL SIGTERM
ENTRYPOINT ["category-publisher"]
CMD ["run"]
