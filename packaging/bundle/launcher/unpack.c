/* A tar (ustar: folders, files and symbolic links, written by packaging/bundle/payload.py), compressed with zstd, into a folder. */
#include "launcher.h"

#define ZSTD_STATIC_LINKING_ONLY
#include "zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512
#define BUFFER (1 << 18)
static const char *const DAMAGED = "this file is damaged: copy the file again";
static const char *const REFUSED = "";

struct header {
    char name[100], mode[8], owner[8], group[8], size[12], modified[12], checksum[8], type, link[100];
    char magic[8], user_name[32], group_name[32], major[8], minor[8], prefix[155], unused[12];
};

struct stream {
    ZSTD_DCtx *decoder;
    ZSTD_inBuffer compressed;
    char *content;
    size_t start, end; /* what is decoded in `content` and not taken yet */
    bool damaged;
};

/* The next bytes, at most `wanted` of them; none at the end or when the payload is damaged. */
static size_t take(struct stream *stream, size_t wanted, char **bytes) {
    while (stream->start == stream->end) {
        ZSTD_outBuffer out = {stream->content, BUFFER, 0};
        size_t before = stream->compressed.pos;
        size_t result = ZSTD_decompressStream(stream->decoder, &out, &stream->compressed);
        stream->damaged |= ZSTD_isError(result);
        if (ZSTD_isError(result) || (!out.pos && stream->compressed.pos == before))
            return 0;
        stream->start = 0;
        stream->end = out.pos;
    }
    size_t available = stream->end - stream->start;
    size_t taken = available < wanted ? available : wanted;
    *bytes = stream->content + stream->start;
    stream->start += taken;
    return taken;
}

static bool take_block(struct stream *stream, char *block) {
    for (size_t have = 0, taken; have < BLOCK; have += taken) {
        char *bytes;
        if (!(taken = take(stream, BLOCK - have, &bytes)))
            return false;
        memcpy(block + have, bytes, taken);
    }
    return true;
}

static const char *write_file(struct stream *stream, int folder, const char *path, mode_t mode, size_t size) {
    int file = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (file < 0)
        return REFUSED;
    const char *failure = NULL;
    for (size_t left = size; left && !failure;) {
        char *bytes;
        size_t taken = take(stream, left, &bytes);
        if (!taken)
            failure = DAMAGED;
        for (size_t done = 0; done < taken && !failure;) {
            ssize_t written = write(file, bytes + done, taken - done);
            if (written < 0 && errno != EINTR)
                failure = REFUSED;
            done += written > 0 ? written : 0;
        }
        left -= taken;
    }
    int reason = errno;
    if (close(file) && !failure)
        return REFUSED;
    errno = reason;
    for (size_t left = -size % BLOCK; left && !failure;) {
        char *bytes;
        size_t taken = take(stream, left, &bytes);
        if (!taken)
            failure = DAMAGED;
        left -= taken;
    }
    return failure;
}

static const char *write_entry(struct stream *stream, int folder, const struct header *header) {
    char path[sizeof header->prefix + sizeof header->name + 2], link[sizeof header->link + 1];
    int prefix = strnlen(header->prefix, sizeof header->prefix);
    snprintf(path, sizeof path, "%.*s%s%.100s", prefix, header->prefix, prefix ? "/" : "", header->name);
    snprintf(link, sizeof link, "%.100s", header->link);
    mode_t mode = strtoul(header->mode, NULL, 8) & 0777;
    switch (header->type) {
    case '5':
        return mkdirat(folder, path, mode) ? REFUSED : NULL;
    case '2':
        return symlinkat(link, folder, path) ? REFUSED : NULL;
    case '0':
        return write_file(stream, folder, path, mode, strtoull(header->size, NULL, 8));
    default:
        return DAMAGED;
    }
}

const char *unpack(const void *payload, size_t length, int folder) {
    struct stream stream = {ZSTD_createDCtx(), {payload, length, 0}, malloc(BUFFER), 0, 0, false};
    if (!stream.decoder || !stream.content)
        give_up("out of memory");
    const char *failure = NULL;
    union {
        struct header header;
        char bytes[BLOCK];
    } block;
    bool ended = false;
    while (!failure && !ended) {
        if (!take_block(&stream, block.bytes))
            failure = DAMAGED;
        else if (block.header.name[0])
            failure = write_entry(&stream, folder, &block.header);
        else
            ended = true;
    }
    int reason = errno;
    char *rest; /* up to the end, where the decoder compares the checksum */
    while (!failure && take(&stream, BUFFER, &rest))
        ;
    if (stream.damaged || (!failure && stream.compressed.pos != length))
        failure = DAMAGED;
    ZSTD_freeDCtx(stream.decoder);
    free(stream.content);
    errno = failure == REFUSED ? reason : 0;
    return failure == REFUSED ? strerror(reason) : failure;
}
