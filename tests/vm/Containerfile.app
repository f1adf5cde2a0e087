# An image that the host and podman share in a test machine: programs, a large file, what a later layer takes away.
# Built by tests/vm/make-sharing, which lays out the trees.
FROM scratch
COPY tree/ /
COPY later/ /
RUN rm /usr/share/app/gone && chmod 4755 /usr/bin/as-root
CMD ["sh"]
