package retention

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// forgetPolicy is how long the policy of a stream is kept that is not configured and has no media.
const forgetPolicy = 30 * 24 * time.Hour

// kept is a policy, and whether its stream is configured now. One that is not keeps the last policy that it had.
type kept struct {
	Policy
	configured bool
	since      time.Time // when a pass first found it without configuration and media; zero otherwise
}

// policyRecord is how the file has a policy.
type policyRecord struct {
	MaxAgeSeconds     int64     `json:"maxAgeSeconds,omitempty"`
	MaxBytes          int64     `json:"maxBytes,omitempty"`
	DenyNew           bool      `json:"denyNew,omitempty"`
	DeleteAfterUpload bool      `json:"deleteAfterUpload,omitempty"`
	EmptySince        time.Time `json:"emptySince,omitzero"`
}

// SetPolicy sets what is kept of a configured stream, from the next pass on.
func (k *Keeper) SetPolicy(stream string, p Policy) {
	k.mu.Lock()
	if before, ok := k.policies[stream]; !ok || before.Policy != p || !before.since.IsZero() {
		k.unwritten = true
	}
	k.policies[stream] = kept{Policy: p, configured: true}
	k.mu.Unlock()
	k.o.Store.SetLimit(stream, k.limitOf(stream, p))
	k.Wake()
}

// Remove says that a stream is no longer configured. What there is of it is kept as before.
func (k *Keeper) Remove(stream string) {
	k.mu.Lock()
	if p, ok := k.policies[stream]; ok {
		p.configured = false
		k.policies[stream] = p
	}
	k.mu.Unlock()
	k.Wake()
}

// Forget says that all media of a stream was deleted by a person or the cloud, and its policy with it. What it lost
// before does not matter any longer either.
func (k *Keeper) Forget(stream string) {
	k.mu.Lock()
	if p, ok := k.policies[stream]; ok && !p.configured {
		delete(k.policies, stream)
		k.unwritten = true
	}
	k.forgotten = append(k.forgotten, stream)
	k.mu.Unlock()
	k.o.Store.SetLimit(stream, k.limitOf(stream, k.o.Default))
	k.Wake()
}

// forget drops what is known of streams whose media is gone.
func (k *Keeper) forget() {
	k.mu.Lock()
	list := k.forgotten
	k.forgotten = nil
	k.mu.Unlock()
	for _, stream := range list {
		if _, had := k.losses[stream]; had {
			delete(k.losses, stream)
			k.unkept = true
		}
		delete(k.paused, stream)
		delete(k.stuck, stream)
	}
}

// Applied says that the last good configuration, or the first one that came, is applied.
func (k *Keeper) Applied() {
	if !k.applied.Swap(true) {
		k.Wake()
	}
}

// Known reports whether Applied was called, or need not be.
func (k *Keeper) Known() bool { return k.applied.Load() }

// PolicyOf is what is kept of a stream; known is false when it never had a policy, and the default holds.
func (k *Keeper) PolicyOf(stream string) (p Policy, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.policies[stream]; ok {
		return p.Policy, true
	}
	return k.o.Default, false
}

func (k *Keeper) policy(stream string) Policy {
	p, _ := k.PolicyOf(stream)
	return p
}

func (k *Keeper) configured(stream string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.policies[stream].configured
}

// recallPolicies reads what was kept of each stream before this start.
func (k *Keeper) recallPolicies() {
	if k.o.Policies == "" {
		return
	}
	var before map[string]policyRecord
	data, err := os.ReadFile(k.o.Policies)
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			k.o.Log.Warn("cannot read what is kept of streams that are not configured: the default holds", zap.String("file", k.o.Policies), zap.Error(err))
		}
		return
	}
	for stream, r := range before {
		p := Policy{MaxAge: time.Duration(r.MaxAgeSeconds) * time.Second, MaxBytes: r.MaxBytes, DeleteAfterUpload: r.DeleteAfterUpload}
		if r.DenyNew {
			p.OnFull = DenyNew
		}
		k.policies[stream] = kept{Policy: p, since: r.EmptySince}
		k.o.Store.SetLimit(stream, k.limitOf(stream, p))
	}
}

// records takes stock of the policies, drops those that nothing needs any more, and says whether there is something new.
func (k *Keeper) records(now time.Time) (records map[string]policyRecord, write bool) {
	recorded := make(map[string]bool) // asked before mu is taken: the store calls us with its own held
	for _, stream := range k.o.Store.Streams() {
		recorded[stream] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	records = make(map[string]policyRecord, len(k.policies))
	for stream, p := range k.policies {
		switch empty := !p.configured && !recorded[stream]; {
		case empty && p.since.IsZero():
			p.since, k.unwritten = now, true
		case !empty && !p.since.IsZero():
			p.since, k.unwritten = time.Time{}, true
		case empty && now.Sub(p.since) > forgetPolicy:
			delete(k.policies, stream)
			k.unwritten = true
			continue
		}
		k.policies[stream] = p
		records[stream] = policyRecord{
			MaxAgeSeconds: int64(p.MaxAge / time.Second), MaxBytes: p.MaxBytes, DenyNew: p.OnFull == DenyNew,
			DeleteAfterUpload: p.DeleteAfterUpload, EmptySince: p.since,
		}
	}
	write, k.unwritten = k.unwritten, false
	return records, write
}

// keepPolicies writes the file when there is something new to say, once a pass.
func (k *Keeper) keepPolicies(now time.Time) {
	if k.o.Policies == "" {
		return
	}
	records, write := k.records(now)
	if !write && (len(records) == 0 || !vanished(k.o.Policies)) {
		return
	}
	part := k.o.Health.Component("", health.JobRetention)
	data, err := json.MarshalIndent(records, "", " ")
	if err == nil {
		err = replace(k.o.Policies, append(data, '\n'))
	}
	if err == nil {
		part.OK(scopePolicies)
		return
	}
	k.mu.Lock()
	k.unwritten = true // the next pass tries again
	k.mu.Unlock()
	if part.Report(scopePolicies, health.Info, health.SystemFault(codePolicies, err,
		"What is kept of each stream cannot be noted in %s, so a stream that is no longer configured is kept for the default time after a restart: "+
			"check the disk of that directory.", k.o.Policies)) {
		k.o.Log.Warn("cannot note what is kept of each stream", zap.String("code", codePolicies), zap.Error(err))
	}
}

// replace writes a file in one step, with its directory if that is missing.
func replace(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of a file: %w", err)
	}
	return atomicfile.Replace(atomicfile.OS{}, path, data, 0o600)
}
