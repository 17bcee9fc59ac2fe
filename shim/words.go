package shim

import (
	"errors"
	"strings"
)

// splitWords splits text into words as a shell does, with its quotes and its
// backslashes, but expands nothing other than the ~/ that begins a word.
func splitWords(text, home string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
			continue
		case c == '\'' || c == '"':
			n := unquote(&word, text[i+1:], c)
			if n == 0 {
				return nil, errors.New("a quote " + string(c) + " is not closed")
			}
			i += n
		case c == '\\' && i+1 == len(text):
			return nil, errors.New("a backslash at the end has nothing to escape")
		case c == '\\':
			i++
			if text[i] == '\n' {
				continue // joins the lines
			}
			word.WriteByte(text[i])
		case c == '~' && !inWord && strings.HasPrefix(text[i+1:], "/"):
			if home == "" {
				return nil, errors.New("~/ needs HOME, which is not set")
			}
			word.WriteString(strings.TrimSuffix(home, "/"))
		default:
			word.WriteByte(c)
		}
		inWord = true
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// unquote writes the text up to the closing quote, and returns how much it has
// read, that quote included; 0 if there is none.
func unquote(word *strings.Builder, text string, quote byte) int {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == quote {
			return i + 1
		}
		if quote == '"' && c == '\\' && i+1 < len(text) && strings.IndexByte("$`\"\\\n", text[i+1]) >= 0 {
			i++
			if c = text[i]; c == '\n' {
				continue
			}
		}
		word.WriteByte(c)
	}
	return 0
}
