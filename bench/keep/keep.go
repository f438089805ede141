// Package keep owns what the measuring programs share: where they write media, and how their
// figures are kept. It must not know what is measured.
package keep

import (
	"encoding/json"
	"errors"
	"os"
)

// Directory returns dir, or a new temporary one when that is empty, and a function that removes what
// was made.
func Directory(dir string) (string, func(), error) {
	if dir != "" {
		return dir, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "kvsbench") // short: sockets lie in it
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// Append adds lines to a file of JSON lines; an empty path keeps nothing.
func Append[T any](path string, lines []T) (err error) {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	encoder := json.NewEncoder(f)
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
