package camerasecret

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// camerasFile holds the camera URLs, sealed.
const camerasFile = "cameras.json"

const camerasVersion = 1

type camerasDocument struct {
	Version int              `json:"Version"`
	Cameras []cameraDocument `json:"Cameras"`
}

type cameraDocument struct {
	SecretARN string    `json:"SecretARN"`
	ReadAt    time.Time `json:"ReadAt"`
	Sealed    []byte    `json:"Sealed"`
}

// Open takes what the disk has. wanted are the ARNs of the secrets that the hub's configurations refer to.
func Open(o Options, wanted map[string]bool) *Cache {
	c := &Cache{
		secrets: o.Secrets, dir: o.Dir, device: o.Device, now: o.Now, log: o.Log, health: o.Health, wake: signal.New(),
		entries: make(map[string]*cached), wanted: wanted,
	}
	var err error
	if c.sealer, err = newSealer(o.Device); err != nil {
		c.raise(scopeCameraStore, health.Info, health.SystemFault(codeCameraStore, err,
			"The cameras' URLs are not kept on disk, as the device's private key cannot be used to encrypt them: after a boot without a network "+
				"the hub records only once it has one."))
	}
	c.load()
	return c
}

// load takes what the disk has. Nothing here is fatal.
func (c *Cache) load() {
	if c.sealer == nil {
		return
	}
	raise := func(severity health.Severity, err error, format string, args ...any) {
		c.unfit = true
		c.raise(scopeCameraStore, severity, health.SystemFault(codeCameraStore, err, format, args...))
	}
	var doc camerasDocument
	switch err := c.dir.Read(camerasFile, &doc); {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil && !errors.Is(err, statefile.ErrCorrupt):
		raise(health.Degraded, err,
			"The file %s with the cameras' URLs cannot be read: give it to the agent's user, or check the disk; the URLs are read again from "+
				"Secrets Manager.", filepath.Join(c.dir.Path(), camerasFile))
		return
	case err != nil:
		raise(health.Degraded, err,
			"The file %s with the cameras' URLs was damaged and is set aside; the URLs are read again from Secrets Manager.", camerasFile)
		return
	}
	c.kept = true
	unsealed := 0
	c.mu.Lock()
	for _, d := range doc.Cameras {
		url, err := c.sealer.open(d.Sealed, d.SecretARN)
		if err != nil {
			continue
		}
		unsealed++
		c.entries[d.SecretARN] = &cached{url: url, readAt: d.ReadAt}
	}
	c.mu.Unlock()
	if unsealed < len(doc.Cameras) {
		raise(health.Info, nil,
			"%d camera URLs on disk were sealed with another device key; they are read again from Secrets Manager.", len(doc.Cameras)-unsealed)
	}
}

// followKey seals with the device key that is in use now, since fleets rotate it while the agent
// runs: the next start has that one only.
func (c *Cache) followKey() {
	device, err := presented(c.device)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || c.sealer != nil && c.sealer.device == device {
		return
	}
	next, err := newSealer(c.device)
	if err != nil {
		return
	}
	c.unsaved = c.unsaved || c.sealer == nil || !bytes.Equal(c.sealer.key, next.key)
	c.sealer = next
}

// allKnown reports whether the URLs of all wanted secrets are known, so that a copy on the disk that could not be
// used may be replaced. Called with mu held.
func (c *Cache) allKnown() bool {
	for arn := range c.wanted {
		if c.entry(arn).url.Empty() {
			return false
		}
	}
	return true
}

// save writes all URLs, sealed, when the disk lacks a change or the file is gone. A failure is reported, and tried
// again with the next round.
func (c *Cache) save() {
	c.followKey()
	doc := camerasDocument{Version: camerasVersion}
	c.mu.Lock()
	if c.unfit && c.allKnown() {
		c.unsaved, c.unfit = true, false
	}
	if c.sealer == nil || !c.unsaved && !(c.kept && c.dir.Missing(camerasFile)) {
		c.mu.Unlock()
		return
	}
	c.unsaved = false
	for _, arn := range slices.Sorted(maps.Keys(c.entries)) {
		if e := c.entries[arn]; !e.url.Empty() {
			doc.Cameras = append(doc.Cameras, cameraDocument{SecretARN: arn, ReadAt: e.readAt, Sealed: c.sealer.seal(e.url, arn)})
		}
	}
	c.mu.Unlock()
	if err := c.dir.Write(camerasFile, doc); err != nil {
		c.raise(scopeCameraStore, health.Degraded, health.SystemFault(codeCameraStore, err,
			"The cameras' URLs cannot be kept on disk, so that the hub would not record after an offline boot: %s.", c.dir.Advice(camerasFile, err)))
		c.mu.Lock()
		c.unsaved = true
		c.mu.Unlock()
		return
	}
	c.kept = true
	c.health.OK(scopeCameraStore)
}
