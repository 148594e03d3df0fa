# AlignCap with the versions of requirements.lock, for Docker and, through it, Apptainer: docs/running.md.
# The wheels bring what is not Python: FFmpeg (av), libsndfile, espeak-ng and a Java runtime.
FROM python:3.11-slim AS build
# Which build of torch: `cpu`, or one for CUDA that download.pytorch.org/whl has for this version, such as `cu130`.
ARG TORCH=cpu
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /aligncap
RUN python -m venv /venv
# The steps of `make setup`, each in a layer of its own: a change of the code installs no package again.
COPY requirements.lock ./
RUN pip install --index-url "https://download.pytorch.org/whl/$TORCH" "$(grep '^torch==' requirements.lock)"
RUN pip install --no-deps -r requirements.lock
COPY . .
RUN pip install --no-deps --no-build-isolation --editable . --editable plugins/aligncap-zh

FROM python:3.11-slim
# git tells run.json the commit, make runs the targets of the Makefile. Debian keeps one version of each.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 aligncap
COPY --from=build --chown=aligncap /venv /venv
COPY --from=build --chown=aligncap /aligncap /aligncap
# The environment of the targets of the Makefile, too.
ENV PATH=/venv/bin:$PATH MAKEFLAGS=VENV=/venv
WORKDIR /aligncap
RUN make --touch setup
USER 1000
CMD ["aligncap", "--help"]
