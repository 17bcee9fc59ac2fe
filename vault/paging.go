package vault

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// paging is what the reply to a listing says about further pages. Whether and
// how the API pages is not documented: so no page is followed, and every word for
// it counts as more unless it plainly says that this is all.
type paging struct {
	items int  // in the reply
	more  bool // a next page, a cursor, a total that is not met
	full  bool // as many items as a page may hold
	all   bool // a total that is met, or no next page
}

// paged reports whether a reply with that number of items may be only a part of
// the listing.
func paged(r *reply, items int) bool {
	p := paging{items: items, more: r.status == http.StatusPartialContent}
	for _, link := range r.header.Values("Link") {
		p.more = p.more || linksNext(link)
	}
	for _, name := range []string{"X-Has-More", "X-Next-Cursor", "X-Next-Page", "X-Next-Token", "X-Total", "X-Total-Count", "X-Total-Pages"} {
		for _, value := range r.header.Values(name) {
			p.weigh(name, json.RawMessage(value))
		}
	}
	p.search(r.object, 3)
	return p.more || p.full && !p.all
}

// linksNext reports whether a Link header names a next page.
func linksNext(link string) bool {
	for parameter := range strings.FieldsFuncSeq(strings.ToLower(link), func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.TrimSpace(name) == "rel" && slices.Contains(strings.Fields(strings.ReplaceAll(value, `"`, " ")), "next") {
			return true
		}
	}
	return false
}

// search weighs every key of o and of the objects in it, some levels down, but
// none of the items themselves.
func (p *paging) search(o object, depth int) {
	for key, raw := range o {
		if key == "items" || key == "secrets" {
			continue
		}
		if p.weigh(key, raw); depth > 1 && raw[0] == '{' {
			var inner object
			p.more = inner.UnmarshalJSON(raw) != nil || p.more
			p.search(inner, depth-1)
		}
	}
}

// weigh takes one key and its value, which need not be JSON, into account.
func (p *paging) weigh(key string, raw json.RawMessage) {
	key = strings.ToLower(key)
	keyHas := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(key, word) })
	}
	text := strings.ToLower(strings.Trim(string(raw), `" `))
	empty := slices.Contains([]string{"", "null", "false", "0", "[]", "{}"}, text)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		n = math.NaN() // is neither met nor exceeded
	}
	isObject := strings.HasPrefix(text, "{")
	switch {
	case keyHas("next", "cursor", "more", "truncat", "partial", "incomplete", "contin", "marker", "offset", "skip", "remain"):
		p.more = p.more || !empty
		p.all = p.all || empty && keyHas("next", "more")
	case keyHas("links"):
		p.more = p.more || !isObject && bytes.Contains(bytes.ToLower(raw), []byte(`"next"`))
	case empty || isObject && !keyHas("total"):
	case keyHas("limit", "size", "per_page", "per-page", "perpage") && !keyHas("total"):
		p.full = p.full || !(n > float64(p.items))
	case keyHas("page"):
		p.more = p.more || n != 1
	case keyHas("total") || key == "count" || strings.HasSuffix(key, "_count"):
		p.more = p.more || !(n <= float64(p.items))
		p.all = p.all || n == float64(p.items)
	}
}
