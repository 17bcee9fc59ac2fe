// Package process is what becomes the command: it finds the file, passes
// secrets on as files in memory, and executes it in the state in which this
// process was started. It knows of no vault and no mapping.
package process

import "io/fs"

// Command is everything execve needs, as a value: deciding what to run is
// pure, and only Exec (or the init that stands in for it) acts on it.
type Command struct {
	Path  string   // the file to execute, already looked up
	Argv  []string // Argv[0] is the name as the user gave it
	Env   []string // the whole environment, secrets included
	Files []File   // secrets that the command reads from a file

	// SecretPath says that Path comes from a PATH that is a secret's value, and
	// must not be printed.
	SecretPath bool
}

// File is a secret that its variable names the path of.
type File struct {
	Name    string      // of the variable
	Content string      // of the file
	Mode    fs.FileMode // of the file
	FD      int         // its descriptor, which Reserve holds; 0 for any
	Index   int         // in Env, where the variable stands without a value
}
