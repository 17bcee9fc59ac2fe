package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxPages bounds the pages of one listing.
const maxPages = 1000

// Listed is a secret as a listing shows it: without its value.
type Listed struct {
	Ref     Ref
	Version int64
	Tier    string
}

// List returns every secret of a namespace and of the namespaces below it that
// the server shows, in its order. It is all of them or an error.
func (s *Session) List(ctx context.Context, namespace string) ([]Listed, *Error) {
	queryForm := "/v1/secrets?namespace=" + url.QueryEscape(namespace)
	items, err := s.listAll(ctx, namespace, queryForm, "&")
	if err != nil && (err.Status == 404 || err.Status == 405 || err.Status == 422) {
		// A server without the query form has the path form.
		pathForm := "/v1/secrets/" + escapePath(namespace)
		return s.listAll(ctx, namespace, pathForm, "?")
	}
	return items, err
}

// listAll follows the pages of one listing. sep is what joins the first
// parameter of a page to its URL.
func (s *Session) listAll(ctx context.Context, namespace, first, sep string) ([]Listed, *Error) {
	var all []Listed
	seen := make(map[Ref]bool)
	ask := request{op: OpList, path: namespace, method: http.MethodGet, url: first}
	for page := 1; page <= maxPages; page++ {
		var next string
		fresh := 0
		err := s.authorized(ctx, ask, func(r *reply) *Error {
			items, err := parseList(namespace, r.object)
			if err != nil {
				return err
			}
			for _, item := range items {
				if !seen[item.Ref] {
					seen[item.Ref] = true
					all = append(all, item)
					fresh++
				}
			}
			next = nextPage(r.object, len(all), page)
			return nil
		})
		if err != nil || next == "" {
			return all, err
		}
		if fresh == 0 {
			break
		}
		ask.url = first + sep + next
	}
	err := protocolError("the listing says there is more, but the next page holds nothing new")
	err.Op, err.Path = OpList, namespace
	return nil, err
}

// nextPage returns the parameter that asks for the next page, empty if there
// is none. How the API pages is not documented: these are the ways it may.
func nextPage(o object, count, page int) string {
	for _, way := range []struct{ key, parameter string }{
		{"next_cursor", "cursor"}, {"next_page_token", "page_token"}, {"next_token", "next_token"}, {"next", "cursor"},
	} {
		cursor, ok := o.text(way.key)
		if !ok || cursor == "" {
			continue
		}
		if u, err := url.Parse(cursor); err == nil && way.key == "next" && u.RawQuery != "" {
			return u.RawQuery // a link: only what it asks is taken, never its host
		}
		return way.parameter + "=" + url.QueryEscape(cursor)
	}
	if next := o.integer("next_page"); next > 0 {
		return "page=" + strconv.FormatInt(next, 10)
	}
	if string(o["has_more"]) == "true" || o.integer("total") > int64(count) {
		return "page=" + strconv.Itoa(page+1)
	}
	return ""
}

func parseList(namespace string, o object) ([]Listed, *Error) {
	raw, ok := o["items"]
	if !ok {
		raw, ok = o["secrets"]
	}
	var objects []object
	if !ok || json.Unmarshal(raw, &objects) != nil || objects == nil {
		return nil, protocolError("the reply holds no list of secrets")
	}
	items := make([]Listed, len(objects))
	for i, item := range objects {
		ref, err := itemRef(namespace, item)
		if err != nil {
			return nil, protocolError("the listing holds an item that is none of " + quote(namespace) + ": " + err.Error())
		}
		tier, _ := item.text("access_tier")
		items[i] = Listed{ref, item.integer("version"), quote(tier)}
	}
	return items, nil
}

// itemRef is the path of a listed secret, which must be below the namespace
// that was asked for.
func itemRef(asked string, item object) (Ref, error) {
	key, ok := item.text("key")
	if !ok {
		return "", errors.New("it has no key")
	}
	namespace := asked
	if item.has("namespace") {
		if namespace, ok = item.text("namespace"); !ok {
			return "", errors.New("its namespace is no string")
		}
	}
	if namespace != asked && !strings.HasPrefix(namespace, asked+"/") {
		return "", errors.New("it is in another namespace")
	}
	path := namespace + "/" + key
	for _, segment := range strings.Split(path, "/") {
		if err := checkSegment(segment); err != nil {
			return "", err
		}
	}
	return Ref(path), nil
}
