package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"hash/maphash"
	"net/url"
	"strconv"
	"strings"
)

// patterns calls found with what to look for, each once: the values, the lines
// of those with several, and what common encoders make of them.
func patterns(values []string, block int, found func(string)) {
	known := make(map[uint64]bool) // by hash, as the forms of a large value are not to be kept
	add := func(p string) {
		h := maphash.String(seed, p)
		if len(p) >= floor && !known[h] {
			known[h] = true
			found(p)
		}
	}
	done := make(map[string]bool)
	for _, v := range values {
		v = strings.Trim(v, "\r\n") // line breaks at the ends are no secret, and keep the output readable
		if len(v) >= floor && !done[v] {
			done[v] = true
			valueForms(add, v, isLarge(v, block))
		}
	}
}

// isLarge reports whether v is so long that only few forms of its lines fit.
func isLarge(v string, block int) bool { return len(v) > 32*block }

func valueForms(add func(string), v string, large bool) {
	textForms(add, v)
	base64Forms(add, v, large)
	base64Forms(add, v+"\n", large) // echo "$VALUE" | base64
	// Without the spaces around it, a line is also found where it is
	// indented otherwise, and a blank line does not cover all indentation.
	for line := range strings.Lines(v) {
		line = strings.TrimSpace(line)
		switch {
		case len(line) < floor:
		case large:
			add(line)
		default:
			textForms(add, line)
		}
	}
}

// textForms adds s plain, as in a URL and as in a string literal. For most
// values they are all the same.
func textForms(add func(string), s string) {
	add(s)

	query := url.QueryEscape(s)
	strict := strings.ReplaceAll(query, "+", "%20")
	for _, form := range []string{
		query,
		strict,
		url.PathEscape(s),
		encodeURIComponent.Replace(strict),
		strings.ReplaceAll(strict, "%2F", "/"), // Python's quote
	} {
		add(form)
		add(lowerHex(form))
	}

	plain := jsonEscape(s, false)
	add(plain)
	add(strings.ReplaceAll(plain, "/", `\/`)) // PHP's json_encode
	add(jsonEscape(s, true))
	ascii := strconv.QuoteToASCII(s) // Python's json.dumps writes the same, but for the rarest characters
	add(ascii[1 : len(ascii)-1])
}

// encodeURIComponent undoes what JavaScript's function of this name leaves.
var encodeURIComponent = strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")

// lowerHex writes the hexadecimal digits of a percent-encoded text small.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

func jsonEscape(s string, html bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(s) != nil { // cannot be: any string has a form
		return s
	}
	return strings.TrimSuffix(b.String(), "\"\n")[1:]
}

// base64Forms adds what of s shows in the encoding of a text that contains it,
// which depends on how many bytes come before, modulo 3: the characters that
// hold bits of s alone; and where s is at the end, those to the end. The
// characters on the edge hold at most four bits of s.
//
// The floor of four characters applies here too. They hold three bytes of s,
// and being of a random kind, stand in ordinary text less often than s does.
//
// Encoders that break lines do so after 64 or 76 characters. A line is looked
// for by itself, but of a large value only all of them together.
func base64Forms(add func(string), s string, large bool) {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString([]byte("\x00\x00"[:before] + s))
			from := (before*8 + 5) / 6
			to := (before + len(s)) * 8 / 6
			add(text[from:to])
			add(strings.TrimRight(text[from:], "="))
			add(text[from:])
		}
		whole := enc.EncodeToString([]byte(s))
		for _, width := range []int{64, 76} { // of openssl's and of coreutils' lines
			lines := chunks(whole, width)
			if large {
				add(strings.Join(lines, "\n"))
				add(strings.Join(lines, "\r\n"))
				continue
			}
			for _, line := range lines {
				add(line)
			}
		}
	}
}

// chunks cuts s into pieces of the given length, the last one perhaps shorter.
func chunks(s string, length int) []string {
	var all []string
	for len(s) > length {
		all = append(all, s[:length])
		s = s[length:]
	}
	return append(all, s)
}
