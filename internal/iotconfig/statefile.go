package iotconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/durable"
)

// stateDir holds small JSON documents, one a file: written beside and renamed, readable by the
// agent's user only, each with a checksum, so that what a power cut or a dying disk left is
// recognised and set aside rather than believed.
type stateDir struct{ path string }

// Modes of the state directory and its files. A directory that is there keeps what its group may
// read: the recordings may lie below.
const (
	dirMode   = 0o700
	fileMode  = 0o600
	notOthers = 0o027 // the rights that are taken from others, and from the group
)

// maxStateFile bounds what is read: far above 1,000 streams.
const maxStateFile = 16 << 20

// corruptSuffix is added to the name of a file that is set aside. One is kept.
const corruptSuffix = ".corrupt"

// checked is the outer document of each file.
type checked struct {
	SHA256 string          `json:"SHA256"`
	State  json.RawMessage `json:"State"`
}

func openStateDir(path string) (stateDir, error) {
	if path == "" {
		return stateDir{}, errors.New("the state directory is not set")
	}
	if err := os.MkdirAll(path, dirMode); err != nil {
		return stateDir{}, fmt.Errorf("cannot make the state directory: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return stateDir{}, fmt.Errorf("cannot use the state directory: %w", err)
	}
	if !info.IsDir() {
		return stateDir{}, fmt.Errorf("the state directory %s is a file", path)
	}
	if mode := info.Mode().Perm(); mode&notOthers != 0 {
		if err := os.Chmod(path, mode&^notOthers); err != nil {
			return stateDir{}, fmt.Errorf("cannot close the state directory to others: %w", err)
		}
	}
	return stateDir{path: path}, nil
}

// errCorrupt means that a file was there and has been set aside.
var errCorrupt = errors.New("the file is damaged")

// read fills state from a file. It returns fs.ErrNotExist when there is none, and errCorrupt
// after setting a damaged one aside.
func (d stateDir) read(name string, state any) error {
	err := d.look(name, state)
	if !errors.Is(err, errCorrupt) {
		return err
	}
	path := filepath.Join(d.path, name)
	if err := os.Rename(path, path+corruptSuffix); err != nil {
		return fmt.Errorf("%w and cannot be set aside: %w", errCorrupt, err)
	}
	return errCorrupt
}

// look is read without setting a damaged file aside.
func (d stateDir) look(name string, state any) error {
	path := filepath.Join(d.path, name)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var data []byte
	if info.Mode().IsRegular() && info.Size() <= maxStateFile {
		if data, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	var outer checked
	if json.Unmarshal(data, &outer) == nil && checksum(outer.State) == outer.SHA256 && json.Unmarshal(outer.State, state) == nil {
		return nil
	}
	return errCorrupt
}

// write replaces a file in one step.
func (d stateDir) write(name string, state any) error {
	inner, err := json.Marshal(state)
	if err != nil {
		return err
	}
	data, err := json.Marshal(checked{SHA256: checksum(inner), State: inner})
	if err != nil {
		return err
	}
	path := filepath.Join(d.path, name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil // spare the flash
	}
	return durable.Replace(durable.OS{}, path, data, fileMode)
}

// sweep removes what an interrupted write left.
func (d stateDir) sweep() error {
	leftovers, err := filepath.Glob(filepath.Join(d.path, "*.json.new*"))
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		if rmErr := os.Remove(path); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
