package vault

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// pagedWithTwo reports whether a reply with two items counts as a part.
func pagedWithTwo(body string) bool { return paged(&reply{200, nil, parseObject([]byte(body))}, 2) }

// A reply is the whole listing unless anything in it may mean that there is
// more.
func TestEverySignOfPagingIsSeen(t *testing.T) {
	for _, body := range []string{
		`{"pagination":{"next_cursor":"x"}}`,
		`{"pagination":{"has_next":true}}`,
		`{"nextPageToken":"x"}`,
		`{"next_page_token":7}`,
		`{"has_more":true}`,
		`{"has_more":"true"}`,
		`{"hasMore":1}`,
		`{"total":"500"}`,
		`{"total":3}`,
		`{"total":{"value":500}}`,
		`{"totalCount":"many"}`,
		`{"count":3}`,
		`{"next_page":"abc"}`,
		`{"next":2}`,
		`{"next":{"href":"/v1"}}`,
		`{"links":{"next":"/v1/secrets?x"}}`,
		`{"_links":{"next":{"href":"/v1/secrets?x"}}}`,
		`{"links":[{"rel":"next","href":"/v1/secrets?x"}]}`,
		`{"@odata.nextLink":"x"}`,
		`{"meta":{"total":500}}`,
		`{"meta":{"pagination":{"total_pages":2}}}`,
		`{"page_info":{"endCursor":"x"}}`,
		`{"cursor":"x"}`,
		`{"IsTruncated":true}`,
		`{"NextMarker":"x"}`,
		`{"continuationToken":"x"}`,
		`{"offset":2}`,
		`{"remaining":1}`,
		`{"page":1,"pages":2}`,
		`{"page":2}`,
		`{"limit":2}`,
		`{"page_size":"2"}`,
		`{"has_more":false,"total":3}`,
		`{"a":{"b":{"next":"x"}}}`,
	} {
		if !pagedWithTwo(body) {
			t.Errorf("%s: no sign of paging is seen", body)
		}
	}
}

func TestWholeListingShowsNoSignOfPaging(t *testing.T) {
	for _, body := range []string{
		`{}`,
		`{"namespace":"next/app","value_count":2,"message":"one more"}`,
		`{"pagination":{}}`,
		`{"a":{"b":{"c":{"next":"deeper than listings say such things"}}}}`,
		`{"pagination":{"next_cursor":null,"has_next":false}}`,
		`{"nextPageToken":""}`,
		`{"has_more":"false"}`,
		`{"total":2,"page":1,"pages":1,"limit":25}`,
		`{"total":2,"limit":2}`,
		`{"has_more":false,"limit":2}`,
		`{"total_size":2,"total_pages":1,"offset":0}`,
		`{"links":{"self":"/v1/secrets","next":null}}`,
		`{"links":[{"rel":"self","href":"/v1/secrets"}]}`,
		`{"page":{"number":0,"size":20,"totalElements":2}}`,
	} {
		if pagedWithTwo(body) {
			t.Errorf("%s: taken for a sign of paging", body)
		}
	}
}

func TestSignsOfPagingAreSeenInHeaders(t *testing.T) {
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
