package archive

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// lostName is the file in Dir with a line for each fragment that the cloud is to have lost.
const lostName = "lost.jsonl"

// lostLine names a fragment in lost.jsonl.
type lostLine struct {
	Stream string `json:"stream"`
	Number string `json:"fragment_number"`
}

// Lose notes that fragments are gone, also after a restart.
func (a *Archive) Lose(stream string, numbers []string) (err error) {
	f, err := os.OpenFile(filepath.Join(a.dir, lostName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("cannot note which fragments of stream %s are lost: %w", stream, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewWriter(f)
	encoder := json.NewEncoder(lines)
	for _, number := range numbers {
		if err := encoder.Encode(lostLine{Stream: stream, Number: number}); err != nil {
			return err
		}
	}
	return lines.Flush()
}

// readLost lists the fragments of lost.jsonl.
func readLost(dir string) (map[lostLine]bool, error) {
	f, err := os.Open(filepath.Join(dir, lostName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lost := map[lostLine]bool{}
	_, err = readIndex(f, func(l lostLine) { lost[l] = true })
	return lost, err
}
