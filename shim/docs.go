package shim

// Doc is what a manual says about a setting.
type Doc struct {
	Flag, Short string // without dashes; empty if only a variable sets it
	Env         string
	Arg         string // what the flag's value is called; empty if it takes none
	Default     string
	Help        string
}

// Docs are those of all settings, for the manual page and the completions of
// the packages.
func Docs() []Doc {
	docs := make([]Doc, len(settings))
	for i, s := range settings {
		docs[i] = Doc{s.flag, s.short, s.env, s.arg, s.def, s.help}
	}
	return docs
}
