/* url.c: what is asked where, made of the one URL that a server is given by. */
#include "llm/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"

/* The URL as a string the caller frees. */
static CURLUcode url_text(CURLU *url, char **out)
{
    char *text = NULL;
    CURLUcode code = curl_url_get(url, CURLUPART_URL, &text, 0);
    if (!code) {
        *out = ga__strndup(text, strlen(text));
        code = *out ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
    }
    curl_free(text);
    return code;
}

/* The URL with `path` behind its own, whose trailing slashes and /v1 do not
 * count. */
static CURLUcode url_with_path(CURLU *base, const char *path, char **out)
{
    char *own = NULL, *whole = NULL;
    CURLU *url = curl_url_dup(base);
    CURLUcode code = url ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
    if (!code)
        code = curl_url_get(url, CURLUPART_PATH, &own, 0);
    if (!code) {
        size_t n = strlen(own);
        while (n > 0 && own[n - 1] == '/')
            n--;
        if (n >= 3 && memcmp(own + n - 3, "/v1", 3) == 0)
            n -= 3;
        own[n] = '\0';
        whole = ga__path_join(own, path);
        code = whole ? curl_url_set(url, CURLUPART_PATH, whole, 0)
                     : CURLUE_OUT_OF_MEMORY;
    }
    if (!code)
        code = url_text(url, out);
    free(whole);
    curl_free(own);
    curl_url_cleanup(url);
    return code;
}

/* Is the host this machine?  Then a proxy, which many have set for all the
 * rest, leads elsewhere. */
static CURLUcode find_local(CURLU *url, bool *local)
{
    char *host = NULL;
    CURLUcode code = curl_url_get(url, CURLUPART_HOST, &host, 0);
    struct in_addr v4;
    if (!code && inet_pton(AF_INET, host, &v4) == 1)
        *local = ntohl(v4.s_addr) >> 24 == 127;
    else if (!code)
        *local =
            strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0;
    curl_free(host);
    return code;
}

/* The same without user and password. */
static CURLUcode find_shown(CURLU *url, char **out)
{
    CURLUcode code = curl_url_set(url, CURLUPART_USER, NULL, 0);
    if (!code)
        code = curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    return code ? code : url_text(url, out);
}

static CURLUcode make(CURLU *url, const char *text, ga_llm_urls *out)
{
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    if (!code)
        code = find_local(url, &out->local);
    if (!code)
        code = url_with_path(url, "v1/chat/completions", &out->chat);
    if (!code)
        code = url_with_path(url, "health", &out->health);
    if (!code)
        code = url_with_path(url, "v1/models", &out->models);
    return code ? code : find_shown(url, &out->shown);
}

ga_status ga__llm_urls_make(const char *text, ga_llm_urls *out, ga_error *err)
{
    CURLUcode code = CURLUE_BAD_SCHEME;
    *out = (ga_llm_urls){0};
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0) {
        CURLU *url = curl_url();
        code = url ? make(url, text, out) : CURLUE_OUT_OF_MEMORY;
        curl_url_cleanup(url);
    }
    if (code == CURLUE_OK)
        return GA_OK;
    ga__llm_urls_free(out);
    if (code == CURLUE_OUT_OF_MEMORY)
        return ga__fail_nomem(err, strlen(text));
    return ga__fail(err, GA_INVAL,
                    "'%s' is no URL of a server: http://HOST:PORT or "
                    "https://HOST",
                    text);
}

void ga__llm_urls_free(ga_llm_urls *urls)
{
    free(urls->shown);
    free(urls->models);
    free(urls->health);
    free(urls->chat);
    *urls = (ga_llm_urls){0};
}
