package segment

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// volumeName is the file that marks a volume once used: where it is missing, a disk is not mounted.
const volumeName = ".kvs-edge-volume"

// ErrVolumeMemory is in what Open returns when the file Options.VolumeMemory cannot be written.
var ErrVolumeMemory = errors.New("cannot note which disk the recordings are on")

// remembered is what Options.VolumeMemory holds.
type remembered struct {
	Directory string `json:"directory"`
	Volume    string `json:"volume"`
	// MountPoint is where its disk is mounted; "/" for the root disk.
	MountPoint string `json:"mountPoint"`
}

// volumeID reads the mark of the volume that the directory lies on now; "" when nobody named it.
func (s *Store) volumeID() (string, error) {
	data, err := s.files.ReadFile(filepath.Join(s.dir, volumeName))
	return string(bytes.TrimSpace(data)), err
}

// Used reports whether anything was ever recorded to the directory, as far as its volume tells.
func (s *Store) Used() bool {
	_, err := s.volumeID()
	return err == nil
}

// expectVolume refuses a directory whose disk is not mounted, before anything is written to it.
func (s *Store) expectVolume() error {
	memory := s.memory
	if memory == "" {
		return nil
	}
	var before remembered
	data, err := s.files.ReadFile(memory)
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil || before.Directory != absolute(s.dir) || mounted(before.MountPoint) {
		return nil // never used, or something is mounted there: the same disk, or a new one
	}
	if _, err := s.volumeID(); errors.Is(err, fs.ErrNotExist) {
		return health.SystemFault(CodeDisk, err,
			"The disk of the recording directory %s is not mounted at %s: mount it, or, to record to the disk below, create the empty file %s.",
			s.dir, before.MountPoint, filepath.Join(s.dir, volumeName))
	}
	return nil
}

// claimVolume marks the volume and remembers it.
func (s *Store) claimVolume() error {
	id, err := s.volumeID()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskFault(s.dir, err)
	}
	if s.volume = id; id == "" {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		s.volume = hex.EncodeToString(random[:])
		if err := s.markVolume(); err != nil {
			return diskFault(s.dir, err)
		}
	}
	return s.rememberVolume()
}

// rememberVolume writes Options.VolumeMemory, where it is missing or says something else.
func (s *Store) rememberVolume() error {
	memory := s.memory
	if memory == "" {
		return nil
	}
	data, err := json.Marshal(remembered{Directory: absolute(s.dir), Volume: s.volume, MountPoint: mountPoint(absolute(s.dir))})
	if err != nil {
		return err
	}
	if old, err := s.files.ReadFile(memory); err == nil && bytes.Equal(old, data) {
		return nil
	}
	err = s.files.MkdirAll(filepath.Dir(memory), layout.DirectoryMode)
	if err == nil {
		err = atomicfile.Replace(s.files, memory, data, layout.FileMode)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrVolumeMemory, diskFault(filepath.Dir(memory), err))
	}
	return nil
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// mounted reports whether a disk is mounted there. A mount point may also vanish with its disk.
func mounted(dir string) bool { return device(dir) != 0 && mountPoint(dir) == dir }

// mountPoint gives the uppermost directory above dir, or dir itself, that lies on the same disk.
func mountPoint(dir string) string {
	for {
		above := filepath.Dir(dir)
		if above == dir || device(above) != device(dir) {
			return dir
		}
		dir = above
	}
}

// device gives the number of the disk that a directory lies on.
func device(dir string) uint64 {
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			return uint64(st.Dev)
		}
	}
	return 0
}
