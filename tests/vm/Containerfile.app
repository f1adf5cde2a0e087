# An image that the host and podman share in a test machine: programs, a large file, what a later layer takes away.
# Built by tests/vm/make-sharing, which lays out the trees.
FROM scratch
COPY tree/ /
COPY later/ /
# What is taken away and what only its mode changes of; a set-user-ID program, which COPY makes an ordinary one, with a content
# of its own so that it is an object of its own.
RUN rm /usr/share/app/gone && chmod 600 /usr/share/app/file-2 \
 && cp /usr/bin/busybox /usr/bin/as-root && echo >>/usr/bin/as-root && chmod 4755 /usr/bin/as-root
CMD ["sh"]
