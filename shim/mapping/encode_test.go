package mapping

import "testing"

func TestBase64IsDecodedInBothAlphabets(t *testing.T) {
	const want = "\xfb\xff\xbe?" // whose spellings differ
	for _, s := range []string{"+/++Pw==", "+/++Pw", "-_--Pw==", "-_--Pw", " -_--\nPw\n"} {
		if got, err := decodeBase64(s); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"+_++Pw==", "-_--Pw=", "-_--P", "no base64"} {
		if got, err := decodeBase64(s); err == nil || err.Error() != "the secret is not base64" {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
}
