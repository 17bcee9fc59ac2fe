package shim

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/mapping"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// errAbsent stands for an optional secret that does not exist or is empty.
var errAbsent = errors.New("absent")

// resolution is a binding with what became of it.
type resolution struct {
	mapping.Binding
	fetched []fetched // one for each reference
	value   string
	absent  bool // optional, and there is nothing to set
	errs    exit.Errors
}

// fetched is a secret as the vault has it, and what a reference takes out of it.
type fetched struct {
	ref     vault.Ref
	version int64
	tier    string
	value   vault.Secret
	part    vault.Secret
}

// missing reports, of a variable without an error, whether the secret does not
// exist.
func (f fetched) missing() bool { return f.version == 0 && f.value.Empty() }

// resolve makes the value of every variable, or says what is wrong with it.
func resolve(bindings []mapping.Binding, results map[vault.Ref]vault.Result) []resolution {
	all := make([]resolution, len(bindings))
	for i, b := range bindings {
		all[i] = resolveOne(b, results)
	}
	return all
}

func resolveOne(b mapping.Binding, results map[vault.Ref]vault.Result) resolution {
	r := resolution{Binding: b}
	var value strings.Builder
	for _, part := range b.Value.Parts {
		if part.Ref == nil {
			value.WriteString(part.Text)
			continue
		}
		result := results[part.Ref.Ref]
		v, plain, err := valueOf(*part.Ref, result)
		taken := vault.NewSecret(plain)
		r.fetched = append(r.fetched, fetched{part.Ref.Ref, result.Version, result.Tier, result.Value, taken})
		var vaultErr *vault.Error
		switch {
		case errors.Is(err, errAbsent):
			r.absent = true
		case errors.As(err, &vaultErr):
			r.errs = append(r.errs, secretError(b.At(part), part.Ref.Ref, vaultErr))
		case err != nil:
			r.errs = append(r.errs, dataError(b.At(part), part.Ref.Ref, err))
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

// log says where the value of a variable comes from, without the value.
func (r resolution) log(log *slog.Logger) {
	if len(r.errs) > 0 || r.absent {
		return
	}
	for _, f := range r.fetched {
		switch {
		case f.missing():
			log.Info(fmt.Sprintf("%s: %s from its default: %s does not exist", r.Origin, r.Name, f.ref))
		case f.version == 0:
			log.Info(fmt.Sprintf("%s: %s from %s", r.Origin, r.Name, f.ref))
		default:
			log.Info(fmt.Sprintf("%s: %s from %s, version %d", r.Origin, r.Name, f.ref, f.version))
		}
	}
}
