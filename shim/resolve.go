package shim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// errAbsent stands for an optional secret that does not exist or is empty.
var errAbsent = errors.New("absent")

// resolve makes the value of every variable, or says what is wrong with it.
func resolve(bindings []mapping.Binding, results map[vault.Ref]vault.Result) []row {
	rows := make([]row, len(bindings))
	for i, b := range bindings {
		rows[i] = resolveOne(b, results)
	}
	return rows
}

func resolveOne(b mapping.Binding, results map[vault.Ref]vault.Result) row {
	r := row{Binding: b}
	var value strings.Builder
	for _, part := range b.Value.Parts {
		if part.Ref == nil {
			value.WriteString(part.Text)
			continue
		}
		result := results[part.Ref.Ref]
		v, plain, err := valueOf(*part.Ref, result)
		taken := vault.NewSecret(plain)
		r.sources = append(r.sources, source{part.Ref.Ref, result.Version, result.Tier, result.Value, taken})
		var vaultErr *vault.Error
		switch {
		case errors.Is(err, errAbsent):
			r.absent = true
		case errors.As(err, &vaultErr):
			r.errs = append(r.errs, secretError(b, part.Ref.Ref, vaultErr))
		case err != nil:
			r.errs = append(r.errs, dataError(b, part.Ref.Ref, err))
		}
		value.WriteString(v)
	}
	if len(r.errs) > 0 || r.absent {
		return r
	}
	r.value = value.String()
	if b.File() == nil {
		r.errs = appendError(r.errs, process.CheckVariable(b.Name, r.value, b.Origin))
	}
	return r
}

// valueOf makes a value of what reading the secret came to. plain is what it
// takes out of the secret, before that is encoded; a default is no secret.
func valueOf(r mapping.Reference, result vault.Result) (v, plain string, err error) {
	switch {
	case result.Err != nil && result.Err.Reason != vault.NotFound:
		return "", "", result.Err
	case result.Err == nil:
		if plain, err = r.Extract(result.Value.Reveal()); err != nil {
			return "", "", err
		}
	}
	switch {
	case plain != "":
		v, err = r.Encoded(plain)
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

// assign is what the rows do to the environment they find. An absent one sets
// nothing; but a reference is no value, and must not reach the command in place
// of one.
func assign(rows []row, environ []string) []assignment {
	var all []assignment
	absent := make(map[string]bool)
	for _, r := range rows {
		if r.absent {
			absent[r.Name] = true
		} else {
			all = append(all, assignment{name: r.Name, value: r.value})
		}
	}
	for _, kv := range environ {
		name, held, _ := strings.Cut(kv, "=")
		if !absent[name] {
			continue
		}
		delete(absent, name) // the first occurrence is the one that getenv finds
		if _, isReference, _ := mapping.ParseInherited(held); isReference {
			all = append(all, assignment{name: name, remove: true})
		}
	}
	return all
}

// filesOf takes the values that belong into files out of the environment.
func filesOf(rows []row, env []string) []process.File {
	if !slices.ContainsFunc(rows, func(r row) bool { return r.File() != nil }) {
		return nil
	}
	index := make(map[string]int, len(env))
	for i, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		index[name] = i
	}
	var files []process.File
	for _, r := range rows {
		ref := r.File()
		if ref == nil || r.absent {
			continue
		}
		i := index[r.Name] // buildEnv has set it, once
		files = append(files, process.File{Name: r.Name, Content: r.value, Mode: ref.Mode, Index: i})
		env[i] = r.Name + "="
	}
	return files
}

func dataError(b mapping.Binding, ref vault.Ref, err error) *exit.Error {
	return &exit.Error{
		Code: exit.Data, Msg: fmt.Sprintf("%s: %s: %s: %v", b.Origin, b.Name, ref, err),
		Hint: "correct the secret in the vault, or the reference to it",
	}
}
