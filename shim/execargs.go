package shim

import "slices"

// ExecArgs returns the arguments, without the first word, of the same run in
// exec mode: what --init and --mask ask for is left to a parent.
func ExecArgs(args []string) []string {
	_, argv, _ := parseFlags(args)
	flags := args[:len(args)-len(argv)]
	if n := len(flags); n > 0 && flags[n-1] == "--" {
		// The end of the flags, unless it is the last one's value.
		if _, _, err := parseFlags(flags[:n-1]); err == nil {
			flags = flags[:n-1]
		}
	}
	return slices.Concat(flags, []string{"--init=false", "--mask=false", "--"}, argv)
}
