package shim

import (
	"slices"
	"strings"
	"testing"
)

func TestExecArgsLeaveTheCommandAndTheOtherFlagsAsTheyAre(t *testing.T) {
	for args, want := range map[string]string{
		"--init node x":              "--init --init=false --mask=false -- node x",
		"-v --init=group -- node -v": "-v --init=group --init=false --mask=false -- node -v",
		"--mapping -- node":          "--mapping -- --init=false --mask=false -- node",
		"--mapping -- -- node":       "--mapping -- --init=false --mask=false -- node",
		"-- --init":                  "--init=false --mask=false -- --init",
		"node -- x":                  "--init=false --mask=false -- node -- x",
	} {
		got := ExecArgs(strings.Fields(args))
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %s", args, got, want)
		}
		before, _ := ParseConfig(strings.Fields(args), nil)
		after, err := ParseConfig(got, nil)
		if err != nil || after.Supervises() || after.MappingFile != before.MappingFile || !slices.Equal(after.Argv, before.Argv) {
			t.Errorf("%s: got %+v, %v", got, after, err)
		}
	}
}
