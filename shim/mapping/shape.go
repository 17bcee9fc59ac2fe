package mapping

import (
	"strings"
)

// errLooksLikeValue quotes nothing: what is refused is no path, and may well be
// what the vault is there for.
var errLooksLikeValue = &hintedError{
	"this looks like a value; plain values belong in the environment, not in the mapping",
	"name the path of a secret, like production/app/KEY; a credential that stood in a file for others to read must be replaced",
}

// credentialPrefixes are what issuers put before a random text: AWS, GitHub,
// GitLab, Stripe, OpenAI and its like, Slack, a JWT, the vault's own keys.
var credentialPrefixes = []string{
	"AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
	"sk_live_", "sk_test_", "rk_live_", "sk-", "xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-", "eyJ", "ass_", "ask_", "ast_",
}

const (
	digits         = "0123456789"
	shortestRandom = 20 // characters; what is shorter may be an odd name
	shortestTail   = 16 // behind a prefix, in one piece: an AWS key's is that long
	shortestID     = 8
	awsSecretKey   = 40
)

// LooksLikeValue reports whether a path has the shape of a credential: a known
// prefix, or a text whose case and digits change more often than in a name.
func LooksLikeValue(path string) bool {
	for _, segment := range strings.Split(path, "/") {
		for _, prefix := range credentialPrefixes {
			if tail, ok := strings.CutPrefix(segment, prefix); ok && hasRandomTail(tail) {
				return true
			}
		}
		for _, run := range strings.FieldsFunc(segment, notBase64) {
			if isRandom(run) {
				return true
			}
		}
	}
	for _, run := range strings.FieldsFunc(path, func(r rune) bool { return r != '/' && notBase64(r) }) {
		if isRandom(run) {
			return true
		}
	}
	return false
}

// hasRandomTail tells sk_live_51Hx… from a name such as sk_live_key.
func hasRandomTail(tail string) bool {
	for _, run := range strings.FieldsFunc(tail, notBase64) {
		if len(run) >= shortestTail && strings.ContainsAny(run, digits) {
			return true
		}
	}
	return false
}

func notBase64(r rune) bool { return charClass(r) == 0 }

// isRandom reports whether a text of base64 characters has digits and both
// cases, and begins a new word, as camel case has them, every 2.5 characters or
// fewer. Random text does so every two, names such as S3AccessKeyIdUsEast1 every
// three. A key of AWS, which has slashes, is recognized by its length as well.
func isRandom(run string) bool {
	length, words, wordy := 0, 0, false
	for _, segment := range strings.Split(run, "/") {
		n := countWords(segment)
		if isID(segment) {
			n = 1
		}
		length, words = length+len(segment), words+max(0, n-1)
		wordy = wordy || n < 3 && len(segment) > 3
	}
	switch {
	case strings.ToLower(run) == run || strings.ToUpper(run) == run || !strings.ContainsAny(run, digits):
		return false
	case len(run) == awsSecretKey && !wordy:
		return true
	}
	return length >= shortestRandom && 5*words >= 2*length
}

// isID reports whether a segment of one case is long enough for a commit, a ULID
// or a part of a UUID: beside a key of the other case it would make up random
// text.
func isID(segment string) bool {
	return len(segment) >= shortestID && (strings.ToLower(segment) == segment || strings.ToUpper(segment) == segment)
}

// countWords counts the words of camel case; a number is one too.
func countWords(s string) int {
	n, before := 0, byte(0)
	for i := range len(s) {
		class := charClass(rune(s[i]))
		title := class == 'a' && before == 'A' // Ab: the word began with A
		switch {
		case title && i > 1 && charClass(rune(s[i-2])) == 'A': // ABc is A and Bc
			n++
		case !title && class != before:
			n++
		}
		before = class
	}
	return n
}

// charClass is 'a' for lower-case letters, 'A' for upper-case ones, '0' for
// digits, '+' for the rest of base64, and 0 for all other characters.
func charClass(r rune) byte {
	switch {
	case r >= 'a' && r <= 'z':
		return 'a'
	case r >= 'A' && r <= 'Z':
		return 'A'
	case r >= '0' && r <= '9':
		return '0'
	case r == '+' || r == '=':
		return '+'
	}
	return 0
}
