package mapping

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// option is one that a reference can have, after its question mark.
type option struct {
	name    string
	usage   string // as help shows it
	help    string
	forFile bool // without as=file it means nothing
	set     func(r *Reference, value string, hasValue bool) error
	print   func(r Reference) string // "" if it was not given
}

// Options, in the order in which help lists them and a reference is printed.
var options = []option{
	{
		name: "optional", usage: "optional", help: "no error if the secret does not exist or is empty",
		set:   setOptional,
		print: func(r Reference) string { return printIf(r.Optional, "optional") },
	},
	{
		name: "default", usage: "default=TEXT", help: "...the variable gets TEXT",
		set:   setDefault,
		print: printDefault,
	},
	{
		name: "field", usage: "field=NAME", help: "one field of a secret that is JSON; or field=/json/pointer",
		set:   setField,
		print: func(r Reference) string { return printIf(r.Field != "", "field="+escapeOption(r.Field)) },
	},
	{
		name: "decode", usage: "decode=base64", help: "the decoded value",
		set:   setDecode,
		print: func(r Reference) string { return printIf(r.Base64, "decode=base64") },
	},
	{
		name: "encode", usage: "encode=HOW", help: "spelled for its place: url, json or base64; or none, where one must be said",
		set:   setEncode,
		print: func(r Reference) string { return printIf(r.Encode != "", "encode="+r.Encode) },
	},
	{
		name: "as", usage: "as=file", help: "the variable names a file in memory that holds the value",
		set:   setAs,
		print: func(r Reference) string { return printIf(r.File, "as=file") },
	},
	{
		name: "mode", usage: "mode=0444", help: "of that file, to be read by others than its owner", forFile: true,
		set:   setMode,
		print: func(r Reference) string { return printIf(r.Mode != DefaultMode, fmt.Sprintf("mode=%04o", r.Mode)) },
	},
	{
		name: "fd", usage: "fd=N", help: "its descriptor's number, 64 to 255", forFile: true,
		set:   setFD,
		print: func(r Reference) string { return printIf(r.FD != 0, fmt.Sprintf("fd=%d", r.FD)) },
	},
}

// Option is what help says about an option.
type Option struct{ Name, Usage, Help string }

// Options lists every option of a reference.
func Options() []Option {
	all := make([]Option, len(options))
	for i, o := range options {
		all[i] = Option{o.name, o.usage, o.help}
	}
	return all
}

func (r *Reference) set(name, value string, hasValue bool) error {
	var known []string
	for _, o := range options {
		if o.name == name {
			return o.set(r, value, hasValue)
		}
		known = append(known, o.name)
	}
	unknown := strings.TrimSpace("unknown option " + quoteIfPlain(name))
	if meant := Closest(name, known); meant != "" {
		return fmt.Errorf("%s; did you mean %s?", unknown, meant)
	}
	last := len(known) - 1
	return fmt.Errorf("%s; known are %s and %s", unknown, strings.Join(known[:last], ", "), known[last])
}

func setOptional(r *Reference, _ string, hasValue bool) error {
	if hasValue {
		return errors.New("option optional takes no value")
	}
	r.Optional = true
	return nil
}

func setDefault(r *Reference, value string, hasValue bool) error {
	if !hasValue {
		return errors.New("option default needs a text, as in default=none; it may be empty")
	}
	r.Default = &value
	return nil
}

// checkDefault refuses a text that a file can hold, but no variable.
func (r Reference) checkDefault() error {
	if r.Default != nil && !r.File && strings.Contains(*r.Default, "\x00") {
		return errors.New("option default holds a NUL byte, which no variable can")
	}
	return nil
}

func printDefault(r Reference) string {
	if r.Default == nil {
		return ""
	}
	return "default=" + escapeOption(*r.Default)
}

func setField(r *Reference, value string, _ bool) error {
	if value == "" || strings.HasPrefix(value, "/") && !validPointer(value) {
		return errors.New("option field needs a name or a JSON pointer (of 256 steps and 4 KiB at most), as in field=password or field=/db/password")
	}
	r.Field = value
	return nil
}

func setDecode(r *Reference, value string, _ bool) error {
	if value != "base64" {
		return errors.New("option decode supports only base64, as in decode=base64")
	}
	r.Base64 = true
	return nil
}

func setEncode(r *Reference, value string, _ bool) error {
	switch value {
	case encodeURL, encodeJSON, encodeBase64, encodeNone:
		r.Encode = value
		return nil
	}
	return errors.New("option encode supports url, json, base64 and none, as in encode=url")
}

func setAs(r *Reference, value string, _ bool) error {
	if value != "file" {
		return errors.New("option as supports only file, as in as=file")
	}
	r.File = true
	return nil
}

func setMode(r *Reference, value string, _ bool) error {
	mode, err := strconv.ParseUint(value, 8, 32)
	if err != nil || mode&^0o666 != 0 || mode&0o400 == 0 {
		return errors.New("option mode needs an octal mode that lets the owner read and nobody execute, as in mode=0444")
	}
	r.Mode = fs.FileMode(mode)
	return nil
}

func setFD(r *Reference, value string, _ bool) (err error) {
	r.FD, err = parseFD(value)
	return err
}

func printIf(given bool, text string) string {
	if !given {
		return ""
	}
	return text
}
