package shim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// errAbsent stands for an optional secret that does not exist or is empty.
var errAbsent = errors.New("absent")

// resolve makes the value of every variable, or says what is wrong with it.
func resolve(bindings []Binding, results map[vault.Ref]vault.Result) []row {
	rows := make([]row, len(bindings))
	for i, b := range bindings {
		rows[i] = b.resolve(results)
	}
	return rows
}

func (b Binding) resolve(results map[vault.Ref]vault.Result) row {
	r := row{Binding: b}
	var value strings.Builder
	for _, part := range b.Value.parts {
		if part.ref == nil {
			value.WriteString(part.text)
			continue
		}
		result := results[part.ref.Ref]
		v, plain, err := part.ref.value(result)
		taken := vault.NewSecret(plain)
		r.sources = append(r.sources, source{part.ref.Ref, result.Version, result.Tier, result.Value, taken})
		var vaultErr *vault.Error
		switch {
		case errors.Is(err, errAbsent):
			r.absent = true
		case errors.As(err, &vaultErr):
			r.errs = append(r.errs, secretError(b, part.ref.Ref, vaultErr))
		case err != nil:
			r.errs = append(r.errs, dataError(b, part.ref.Ref, err))
		}
		value.WriteString(v)
	}
	if len(r.errs) > 0 || r.absent {
		return r
	}
	r.value = value.String()
	if b.file() == nil {
		r.errs = appendError(r.errs, process.CheckVariable(b.Name, r.value, b.Origin))
	}
	return r
}

// file is the reference of a variable that names a file, nil for any other.
func (b Binding) file() *Reference {
	if ref := b.Value.parts[0].ref; b.Value.bare && ref.File {
		return ref
	}
	return nil
}

// value makes a value of what reading the secret came to. plain is what it
// takes out of the secret, before that is encoded; a default is no secret.
func (r Reference) value(result vault.Result) (v, plain string, err error) {
	switch {
	case result.Err != nil && result.Err.Reason != vault.NotFound:
		return "", "", result.Err
	case result.Err == nil:
		if plain, err = r.convert(result.Value.Reveal()); err != nil {
			return "", "", err
		}
	}
	switch {
	case plain != "":
		v, err = encode(r.Encode, plain)
		return v, plain, err
	case r.Default != nil:
		return *r.Default, "", nil
	case r.Optional:
		return "", "", errAbsent
	case result.Err != nil:
		return "", "", result.Err
	}
	return "", "", errors.New("the secret is empty")
}

// convert selects the field and decodes it, each if that is asked for. An empty
// secret stays empty, so that optional and default can act on it.
func (r Reference) convert(v string) (string, error) {
	var err error
	if r.Field != "" && v != "" {
		if v, err = selectField(v, r.Field); err != nil {
			return "", err
		}
	}
	if r.Base64 {
		return decodeBase64(v)
	}
	return v, nil
}

// decodeBase64 takes the standard or the URL alphabet, padded rightly or not at
// all, and line breaks.
func decodeBase64(s string) (string, error) {
	s = strings.TrimSpace(s)
	encoding := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.URLEncoding
	}
	if !strings.Contains(s, "=") {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	b, err := encoding.DecodeString(s)
	if err != nil {
		return "", errors.New("the secret is not base64")
	}
	return string(b), nil
}

// assignments is what the row does to the environment it finds.
func (r row) assignments(environ []string) []assignment {
	if !r.absent {
		return []assignment{{name: r.Name, value: r.value}}
	}
	// Nothing to set. But a reference is not a value: it must not reach the
	// command in place of one.
	held, _ := process.LookupEnv(environ, r.Name)
	if _, isReference, _ := ParseInherited(held); isReference {
		return []assignment{{name: r.Name, remove: true}}
	}
	return nil
}

// filesOf takes the values that belong into files out of the environment.
func filesOf(rows []row, env []string) []process.File {
	var files []process.File
	for _, r := range rows {
		ref := r.file()
		if ref == nil || r.absent {
			continue
		}
		for i, kv := range env {
			if strings.HasPrefix(kv, r.Name+"=") {
				files = append(files, process.File{Name: r.Name, Content: r.value, Mode: ref.Mode, Index: i})
				env[i] = r.Name + "="
			}
		}
	}
	return files
}

func dataError(b Binding, ref vault.Ref, err error) *exit.Error {
	return &exit.Error{
		Code: exit.Data, Msg: fmt.Sprintf("%s: %s: %s: %v", b.Origin, b.Name, ref, err),
		Hint: "correct the secret in the vault, or the reference to it",
	}
}
