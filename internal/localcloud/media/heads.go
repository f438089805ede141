package media

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
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

// withUnknownSize returns the head with a Segment of unknown size, in as many bytes as the size had.
func withUnknownSize(head []byte, size strictmkv.Span) []byte {
	head = slices.Clone(head)
	head[size.Offset] = byte(1<<(9-size.Bytes) - 1)
	for i := size.Offset + 1; i < size.Offset+size.Bytes; i++ {
		head[i] = 0xFF
	}
	return head
}

// without returns the head without some of its elements, which are in order.
func without(head []byte, elements []strictmkv.Span) []byte {
	var left []byte
	from := int64(0)
	for _, e := range elements {
		left = append(left, head[from:e.Offset]...)
		from = e.Offset + e.Bytes
	}
	return append(left, head[from:]...)
}

// keepHeads stores what the producer sent before its first Cluster: as it was sent for the first
// fragment, and without the Tags that stood before Tracks for those that follow.
func (se *session) keepHeads(sent []byte, h *strictmkv.Header) (err error) {
	if se.firstHead, err = se.service.heads.keep(withUnknownSize(sent, h.SegmentSize)); err != nil {
		return fail(internalError, "", "cannot store the head: %v", err)
	}
	if se.head, err = se.service.heads.keep(without(withUnknownSize(sent, h.SegmentSize), se.earlyTags)); err != nil {
		return fail(internalError, "", "cannot store the head: %v", err)
	}
	return nil
}
