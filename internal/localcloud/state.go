package localcloud

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// document is what is kept in state/cloud.json.
type document struct {
	Ports   ports                    `json:"ports"`
	Key     []byte                   `json:"key"` // what access keys are derived from
	Streams map[string]*streamRecord `json:"streams"`
	Secrets map[string]*secretRecord `json:"secrets"`
	Revoked map[string]bool          `json:"revoked,omitempty"` // things
}

type ports struct {
	API         int `json:"api"`
	Credentials int `json:"credentials"`
	MQTT        int `json:"mqtt"`
}

type streamRecord struct {
	Name           string            `json:"name"`
	ARN            string            `json:"arn"`
	Version        string            `json:"version"`
	Created        time.Time         `json:"created"`
	RetentionHours int               `json:"retention_hours"`
	DeviceName     string            `json:"device_name,omitempty"`
	MediaType      string            `json:"media_type,omitempty"`
	KmsKeyID       string            `json:"kms_key_id,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Edge           *edgeRecord       `json:"edge,omitempty"`

	Status       string              `json:"status,omitempty"` // "" = ACTIVE; another one until Settles
	Settles      time.Time           `json:"settles,omitzero"`
	Tiers        []tierPeriod        `json:"tiers,omitempty"` // in their order; HOT before the first
	Images       *imageGeneration    `json:"images,omitempty"`
	Notification *notificationConfig `json:"notification,omitempty"`
}

type edgeRecord struct {
	Config   edgeconfig.EdgeConfig `json:"config"`
	Thing    string                `json:"thing"` // of the hub
	Created  time.Time             `json:"created"`
	Updated  time.Time             `json:"updated"`
	Status   string                `json:"status"`
	Details  string                `json:"details,omitempty"`
	Recorder *jobRecord            `json:"recorder,omitempty"`
	Uploader *jobRecord            `json:"uploader,omitempty"`

	sent time.Time // when it was last published
}

type jobRecord struct {
	Status    string    `json:"status"`
	Details   string    `json:"details,omitempty"`
	Collected time.Time `json:"collected"`
	Updated   time.Time `json:"updated"`
}

var errClosed = errors.New("the local cloud is stopped")

func (c *Cloud) stateFile() string { return filepath.Join(c.o.Dir, "state", "cloud.json") }

// load locks the directory and reads the document, or begins a new one.
func (c *Cloud) load() error {
	dir := filepath.Dir(c.stateFile())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of the local cloud: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock the directory of the local cloud: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("another local cloud uses %s, stop it or choose another directory: %w", c.o.Dir, err), lock.Close())
	}
	if c.doc, err = readDocument(c.stateFile()); err != nil {
		return errors.Join(err, lock.Close())
	}
	c.lock = lock
	return nil
}

// unlock releases the directory. Closing alone would not while a process that was forked at this
// moment still has the file.
func (c *Cloud) unlock() error {
	return errors.Join(syscall.Flock(int(c.lock.Fd()), syscall.LOCK_UN), c.lock.Close())
}

func readDocument(path string) (document, error) {
	d := document{Streams: map[string]*streamRecord{}, Secrets: map[string]*secretRecord{}, Revoked: map[string]bool{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		d.Key = make([]byte, 32)
		_, _ = rand.Read(d.Key) // never fails
		return d, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	for _, secret := range d.Secrets {
		secret.adopt()
	}
	if err != nil {
		return d, fmt.Errorf("cannot read the state of the local cloud, repair or delete %s: %w", path, err)
	}
	return d, nil
}

// update changes the document, keeps it on disk, and wakes those who wait for a change. When
// change fails nothing may have been changed.
func (c *Cloud) update(change func(*document) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	c.doc.settle(c.o.Now())
	if err := change(&c.doc); err != nil {
		return err
	}
	close(c.changed)
	c.changed = make(chan struct{})
	data, err := json.MarshalIndent(c.doc, "", "  ")
	if err == nil {
		err = replaceFile(c.stateFile(), data)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the state of the local cloud: %w", err)
	}
	return nil
}

// view reads the document.
func (c *Cloud) view(read func(*document) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doc.settle(c.o.Now())
	return read(&c.doc)
}

// replaceFile writes a file that is whole at any time.
func replaceFile(path string, data []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
