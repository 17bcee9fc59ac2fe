package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// patterns calls found with what to look for, each once: the values, the lines
// of those with several, and what common encoders make of them.
func patterns(values []string, block int, found func(string)) {
	known := make(map[uint64]bool) // by hash: the forms of a large value would take too much memory
	add := func(p string) {
		h := maphash.String(seed, p)
		if len(p) >= minLen && !known[h] {
			known[h] = true
			found(p)
		}
	}
	done := make(map[string]bool)
	for _, v := range values {
		v = strings.Trim(v, "\r\n") // line breaks at the ends are no secret, and keep the output readable
		if len(v) >= minLen && !done[v] {
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
	hexForms(add, v, large)
	// Without the spaces around it, a line is also found where it is
	// indented otherwise, and a blank line does not cover all indentation.
	for line := range strings.Lines(v) {
		line = strings.TrimSpace(line)
		switch {
		case len(line) < minLen:
		case large:
			add(line)
		default:
			textForms(add, line)
		}
	}
}

// textForms adds s plain, as in a URL, a string literal, a page and a shell.
func textForms(add func(string), s string) {
	add(s)
	const same = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._" // everywhere
	if strings.Trim(s, same) == "" {
		return
	}
	urlForms(add, s)
	jsonForms(add, s)
	htmlForms(add, s)
	shellForms(add, s)
}

func urlForms(add func(string), s string) {
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
}

// jsonForms adds s as a JSON string, and as one within a JSON text that is itself
// a JSON string, such as a reply in a log of JSON lines.
func jsonForms(add func(string), s string) {
	quoted := strconv.Quote(s) // Go's %q
	add(quoted[1 : len(quoted)-1])
	known := make(map[string]bool)
	for _, once := range jsonStrings(s) {
		if known[once] {
			continue
		}
		known[once] = true
		add(once)
		if !utf8.ValidString(s) {
			continue // JSON cannot hold it, and each form is many times as long
		}
		for _, twice := range jsonStrings(once) {
			add(twice)
		}
	}
}

// jsonStrings is what encoders make of s: JavaScript's, PHP's, Go's, Python's.
func jsonStrings(s string) []string {
	plain := jsonEscape(s, false)
	return []string{plain, strings.ReplaceAll(plain, "/", `\/`), jsonEscape(s, true), jsonASCII(plain)}
}

// jsonASCII escapes the characters of a JSON string that are not ASCII.
func jsonASCII(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteByte(byte(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// htmlForms adds what the usual libraries make of s. They agree on all but the
// quotes.
func htmlForms(add func(string), s string) {
	if !strings.ContainsAny(s, `&<>"'`) {
		return
	}
	for _, quotes := range [][2]string{
		{`"`, "'"},
		{"&#34;", "&#39;"},   // Go, Jinja
		{"&quot;", "&#39;"},  // lodash, Rails
		{"&quot;", "&#x27;"}, // Python, React
		{"&quot;", "&#039;"}, // PHP
		{"&quot;", "&apos;"}, // XML
	} {
		add(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, quotes[0], "'", quotes[1]).Replace(s))
	}
}

// shellForms adds what is between the quotes that shells put around s, as with
// set -x and export -p, and what bash's printf %q writes without quotes.
func shellForms(add func(string), s string) {
	add(strings.ReplaceAll(s, "'", `'\''`))
	add(strings.ReplaceAll(s, "'", `'"'"'`)) // dash, Python
	add(backslashed(s, "\"$`\\"))
	add(backslashed(s, "\"$`\\ !&'()*,;<>?[]^{|}"))
	add(ansiC(s, false))
	add(ansiC(s, true))
}

func backslashed(s, special string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// ansiC writes s as bash does between $' and ': ascii is a matter of the locale.
func ansiC(s string, ascii bool) string {
	const names = "\aa\bb\x1bE\ff\nn\rr\tt\vv\\\\''" // characters, each with its letter
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch at := strings.IndexByte(names, c); {
		case at >= 0 && at%2 == 0:
			b.WriteString(`\` + names[at+1:at+2])
		case c < ' ' || c == 0x7f || c >= utf8.RuneSelf && ascii:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// encodeURIComponent restores the characters that JavaScript's function of this
// name does not escape.
var encodeURIComponent = strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")

// lowerHex writes the hexadecimal digits of a percent-encoded text in lower case.
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
	if e.Encode(s) != nil { // cannot happen: every string can be encoded
		return s
	}
	return strings.TrimSuffix(b.String(), "\"\n")[1:]
}

// base64Forms adds what the encoding of a text with s in it shows of s. That
// depends on how many bytes come before s, modulo 3: it is the characters that
// hold bits of s alone and, where the text ends with s, those up to the end. The
// characters at the edges hold at most four bits of s.
//
// The minimum of four characters applies here too. They hold three bytes of s,
// and are less likely to occur in ordinary text than s is.
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
		addLines(add, whole, 64, minLen, large) // openssl
		addLines(add, whole, 76, minLen, large) // coreutils
	}
}

// hexForms adds s in hexadecimal digits, whole and in the lines of xxd -p.
func hexForms(add func(string), s string, large bool) {
	lower := hex.EncodeToString([]byte(s))
	for _, whole := range []string{lower, strings.ToUpper(lower)} {
		add(whole)
		addLines(add, whole, 60, 2*minLen, large) // any checksum may have less
	}
}

// addLines adds the output of encoders that break lines: the whole and, unless
// the value is large, each line of at least the shortest length.
func addLines(add func(string), text string, width, shortest int, large bool) {
	lines := chunks(text, width)
	add(strings.Join(lines, "\n"))
	add(strings.Join(lines, "\r\n"))
	for _, line := range lines {
		if !large && len(line) >= shortest {
			add(line)
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
