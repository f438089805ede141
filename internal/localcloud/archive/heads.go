package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// headsName is the folder in Dir of what producers sent before their first Clusters.
const headsName = "heads"

// heads stores each distinct head once, in a file that is named by its SHA-256.
type heads struct {
	dir string

	mu   sync.Mutex
	kept map[string]bool
}

func (h *heads) path(name string) string { return filepath.Join(h.dir, name+".mkv") }

// keep stores a head and returns its name.
func (h *heads) keep(head []byte) (name string, err error) {
	sum := sha256.Sum256(head)
	name = hex.EncodeToString(sum[:])
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept[name] {
		return name, nil
	}
	if _, err := os.Stat(h.path(name)); errors.Is(err, os.ErrNotExist) {
		unfinished := h.path(name) + ".new"
		if err := errors.Join(os.MkdirAll(h.dir, 0o755), os.WriteFile(unfinished, head, 0o644)); err != nil {
			return "", err
		}
		if err := os.Rename(unfinished, h.path(name)); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	if h.kept == nil {
		h.kept = map[string]bool{}
	}
	h.kept[name] = true
	return name, nil
}

func (h *heads) read(name string) ([]byte, error) { return os.ReadFile(h.path(name)) }
