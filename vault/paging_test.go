package vault

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A reply with two items is the whole listing unless anything in it may mean
// that there are more.
func TestEverySignOfPagingIsSeen(t *testing.T) {
	for body, want := range map[string]bool{
		`{}`: false,
		`{"namespace":"next/app","value_count":2,"message":"one more"}`: false,

		`{"pagination":{"next_cursor":"x"}}`:                true,
		`{"pagination":{"has_next":true}}`:                  true,
		`{"nextPageToken":"x"}`:                             true,
		`{"next_page_token":7}`:                             true,
		`{"has_more":true}`:                                 true,
		`{"has_more":"true"}`:                               true,
		`{"hasMore":1}`:                                     true,
		`{"total":"500"}`:                                   true,
		`{"total":3}`:                                       true,
		`{"total":{"value":500}}`:                           true,
		`{"totalCount":"many"}`:                             true,
		`{"count":3}`:                                       true,
		`{"next_page":"abc"}`:                               true,
		`{"next":2}`:                                        true,
		`{"next":{"href":"/v1"}}`:                           true,
		`{"links":{"next":"/v1/secrets?x"}}`:                true,
		`{"_links":{"next":{"href":"/v1/secrets?x"}}}`:      true,
		`{"links":[{"rel":"next","href":"/v1/secrets?x"}]}`: true,
		`{"@odata.nextLink":"x"}`:                           true,
		`{"meta":{"total":500}}`:                            true,
		`{"meta":{"pagination":{"total_pages":2}}}`:         true,
		`{"page_info":{"endCursor":"x"}}`:                   true,
		`{"cursor":"x"}`:                                    true,
		`{"IsTruncated":true}`:                              true,
		`{"NextMarker":"x"}`:                                true,
		`{"continuationToken":"x"}`:                         true,
		`{"offset":2}`:                                      true,
		`{"remaining":1}`:                                   true,
		`{"page":1,"pages":2}`:                              true,
		`{"page":2}`:                                        true,
		`{"limit":2}`:                                       true,
		`{"page_size":"2"}`:                                 true,
		`{"has_more":false,"total":3}`:                      true,

		`{"pagination":{}}`: false,
		`{"pagination":{"next_cursor":null,"has_next":false}}`: false,
		`{"nextPageToken":""}`:                                 false,
		`{"has_more":"false"}`:                                 false,
		`{"total":2,"page":1,"pages":1,"limit":25}`:            false,
		`{"total":2,"limit":2}`:                                false,
		`{"has_more":false,"limit":2}`:                         false,
		`{"total_size":2,"total_pages":1,"offset":0}`:          false,
		`{"links":{"self":"/v1/secrets","next":null}}`:         false,
		`{"links":[{"rel":"self","href":"/v1/secrets"}]}`:      false,
		`{"page":{"number":0,"size":20,"totalElements":2}}`:    false,
	} {
		if got := paged(&reply{200, nil, parseObject([]byte(body))}, 2); got != want {
			t.Errorf("%s: got %v, want %v", body, got, want)
		}
	}
	for _, tt := range []struct {
		status      int
		name, value string
		want        bool
	}{
		{200, "Link", `<https://v/1?page=1>; rel="prev", <https://v/1?page=3>; title=x; rel="last next"`, true},
		{200, "Link", `<https://v/1?page=3>;rel=next`, true},
		{200, "Link", `<https://v/next>; rel="self"`, false},
		{200, "X-Next-Page", "2", true},
		{200, "X-Next-Page", "", false},
		{200, "X-Total-Count", "3", true},
		{200, "X-Total-Count", "2", false},
		{206, "Content-Range", "items 0-1/3", true},
	} {
		if got := paged(&reply{tt.status, http.Header{tt.name: {tt.value}}, object{}}, 2); got != tt.want {
			t.Errorf("%d %s: %s: got %v, want %v", tt.status, tt.name, tt.value, got, tt.want)
		}
	}
}

// The path form of a/B would be the address of a secret.
func TestOnlyANamespaceOfOneSegmentIsListedByItsPath(t *testing.T) {
	for namespace, want := range map[string]string{"ns": "/v1/secrets /v1/secrets/ns", "ns/app": "/v1/secrets"} {
		var asked []string
		mux := http.NewServeMux()
		mux.HandleFunc("/v1/tokens", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"token":"t"}`) })
		mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			w.WriteHeader(http.StatusMethodNotAllowed)
		})
		c, _ := clientOf(t, mux)
		s, err := c.Open(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.List(context.Background(), namespace); err == nil || err.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: got %v", namespace, err)
		}
		if got := strings.Join(asked, " "); got != want {
			t.Errorf("%s: got requests of %s, want %s", namespace, got, want)
		}
	}
}
