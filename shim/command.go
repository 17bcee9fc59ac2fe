package shim

// Command is everything execve needs, as a value: deciding what to run is
// pure, and only Exec (or the init that stands in for it) acts on it.
type Command struct {
	Path string   // the file to execute, already looked up
	Argv []string // Argv[0] is the name as the user gave it
	Env  []string // the whole environment, secrets included
}
