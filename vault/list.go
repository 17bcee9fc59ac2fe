package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// SecretInfo is a secret as a listing shows it: without its value.
type SecretInfo struct {
	Ref     Ref
	Version int64
}

// List returns every secret of a namespace and of the namespaces below it that
// the server shows, in its order. It is all of them or an error.
func (s *Session) List(ctx context.Context, namespace string) ([]SecretInfo, *Error) {
	items, err := s.list(ctx, namespace, "/v1/secrets?namespace="+url.QueryEscape(namespace))
	if err != nil && (err.Status == 404 || err.Status == 405 || err.Status == 422) && !strings.Contains(namespace, "/") {
		// A server without the query form has the path form. Of a namespace
		// with more segments, that would be the address of a secret.
		return s.list(ctx, namespace, "/v1/secrets/"+escapePath(namespace))
	}
	return items, err
}

func (s *Session) list(ctx context.Context, namespace, address string) (items []SecretInfo, err *Error) {
	req := request{op: OpList, method: http.MethodGet, url: address}
	err = s.authorized(ctx, req, func(r *reply) (err *Error) {
		items, err = parseList(namespace, r.object)
		if err == nil && paged(r, len(items)) {
			return protocolError("the listing may be one page of several, and paging is not supported")
		}
		return err
	})
	return items, err
}

func parseList(namespace string, o object) ([]SecretInfo, *Error) {
	raw, ok := o["items"]
	if !ok {
		raw, ok = o["secrets"]
	}
	var objects []object
	if !ok || json.Unmarshal(raw, &objects) != nil || objects == nil {
		return nil, protocolError("the reply has no list of secrets")
	}
	if of, ok := o.text("namespace"); ok && of != namespace {
		return nil, protocolError("the listing is for a different namespace")
	}
	items := make([]SecretInfo, 0, len(objects))
	seen := make(map[Ref]bool)
	for _, item := range objects {
		ref, err := itemRef(namespace, item)
		if err != nil {
			return nil, protocolError("the listing has an item outside " + quote(namespace) + ": " + err.Error())
		}
		if !seen[ref] {
			seen[ref] = true
			items = append(items, SecretInfo{ref, item.integer("version")})
		}
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
			return "", errors.New("its namespace is not a string")
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
