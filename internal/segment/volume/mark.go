package volume

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// MarkFileName is the file that marks a volume once used: where it is missing, a disk is not mounted.
const MarkFileName = ".kvs-edge-volume"

// ErrMemory is wrapped by the error of Open when the file Options.Memory cannot be written.
var ErrMemory = errors.New("cannot note which disk the recordings are on")

// remembered is the content of Options.Memory.
type remembered struct {
	Directory string `json:"directory"`
	Volume    string `json:"volume"`
	// MountPoint is where its disk is mounted; "/" for the root disk.
	MountPoint string `json:"mountPoint"`
}

// ID reads the mark of the volume on which the directory is now; "" when it has none.
func (v *Volume) ID() (string, error) {
	data, err := v.files.ReadFile(filepath.Join(v.dir, MarkFileName))
	return string(bytes.TrimSpace(data)), err
}

// Used reports whether anything was ever recorded to the directory, according to its disk.
func (v *Volume) Used() bool {
	_, err := v.ID()
	return err == nil
}

// expectMark refuses a directory whose disk is not mounted, before anything is written to it.
func (v *Volume) expectMark() error {
	memory := v.memory
	if memory == "" {
		return nil
	}
	var before remembered
	data, err := v.files.ReadFile(memory)
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil || before.Directory != absolute(v.dir) || mounted(before.MountPoint) {
		return nil // never used, or something is mounted there: the same disk, or a new one
	}
	if _, err := v.ID(); errors.Is(err, fs.ErrNotExist) {
		return health.SystemFault(CodeDisk, err,
			"The disk of the recording directory %s is not mounted at %s: mount it, or, to record to the disk below, create the empty file %s.",
			v.dir, before.MountPoint, filepath.Join(v.dir, MarkFileName))
	}
	return nil
}

// claim marks the volume and remembers it.
func (v *Volume) claim() error {
	id, err := v.ID()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Fault(v.dir, err)
	}
	if v.mark = id; id == "" {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		v.mark = hex.EncodeToString(random[:])
		if err := v.writeMark(); err != nil {
			return Fault(v.dir, err)
		}
	}
	return v.Remember()
}

// Remember writes Options.Memory, where it is missing or has another content
func (v *Volume) Remember() error {
	memory := v.memory
	if memory == "" {
		return nil
	}
	data, err := json.Marshal(remembered{Directory: absolute(v.dir), Volume: v.mark, MountPoint: mountPoint(absolute(v.dir))})
	if err != nil {
		return err
	}
	if old, err := v.files.ReadFile(memory); err == nil && bytes.Equal(old, data) {
		return nil
	}
	err = v.files.MkdirAll(filepath.Dir(memory), layout.DirectoryMode)
	if err == nil {
		err = atomicfile.Replace(v.files, memory, data, layout.FileMode)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMemory, Fault(filepath.Dir(memory), err))
	}
	return nil
}

// writeMark writes the mark to the disk.
func (v *Volume) writeMark() error {
	return atomicfile.Replace(v.files, filepath.Join(v.dir, MarkFileName), []byte(v.mark+"\n"), layout.FileMode)
}
