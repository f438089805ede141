package localcloud

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The limits of Secrets Manager. Source: API reference and quotas.
const (
	maxSecretBytes    = 65_536
	maxVersionStages  = 20
	maxUnstaged       = 100 // versions without a stage that are kept
	maxSecretName     = 512
	minVersionToken   = 32
	maxVersionToken   = 64
	minRecoveryDays   = 7
	maxRecoveryDays   = 30
	usualRecoveryDays = 30
)

// The staging labels that Secrets Manager moves by itself.
const (
	currentStage  = "AWSCURRENT"
	previousStage = "AWSPREVIOUS"
)

// secretPattern is that of Secrets Manager. EdgeConfig takes fewer names in its ARNs.
var secretPattern = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)

// secretRecord is a secret as it is kept.
type secretRecord struct {
	Name        string                    `json:"name"`
	ARN         string                    `json:"arn"`
	Description string                    `json:"description,omitempty"`
	KmsKeyID    string                    `json:"kms_key_id,omitempty"`
	Tags        []secretTag               `json:"tags,omitempty"`
	Created     time.Time                 `json:"created"`
	Changed     time.Time                 `json:"changed"`
	Deleted     time.Time                 `json:"deleted,omitzero"` // end of the recovery window; zero = not marked for deletion
	Versions    map[string]*secretVersion `json:"versions"`         // by VersionId

	// What an earlier local cloud kept in place of versions.
	Value   string `json:"value,omitempty"`
	Version string `json:"version,omitempty"`
}

type secretTag struct{ Key, Value string }

// secretVersion is a value of a secret. Exactly one of String and Binary is not nil.
type secretVersion struct {
	String  *string   `json:"string,omitempty"`
	Binary  []byte    `json:"binary,omitempty"`
	Created time.Time `json:"created"`
	Stages  []string  `json:"stages,omitempty"`
}

func (v *secretVersion) same(other *secretVersion) bool {
	if (v.String == nil) != (other.String == nil) {
		return false
	}
	return v.String != nil && *v.String == *other.String || v.String == nil && bytes.Equal(v.Binary, other.Binary)
}

// adopt turns what an earlier local cloud kept into a version.
func (s *secretRecord) adopt() {
	if s.Versions == nil {
		s.Versions = map[string]*secretVersion{}
	}
	if s.Version != "" {
		value := s.Value
		s.Versions[s.Version] = &secretVersion{String: &value, Created: s.Changed, Stages: []string{currentStage}}
		s.Value, s.Version = "", ""
	}
}

// staged is the version with a staging label; "" = there is none.
func (s *secretRecord) staged(stage string) (id string) {
	for id, v := range s.Versions {
		if slices.Contains(v.Stages, stage) {
			return id
		}
	}
	return ""
}

// put adds a version and moves the staging labels to it. With AWSCURRENT goes AWSPREVIOUS, to the
// version that had AWSCURRENT before.
func (s *secretRecord) put(id string, v *secretVersion, stages []string) {
	before := s.staged(currentStage)
	s.Versions[id] = v
	for _, stage := range stages {
		s.move(stage, id)
	}
	if before != "" && before != id && slices.Contains(stages, currentStage) {
		s.move(previousStage, before)
	}
	s.Changed = v.Created
	s.forget()
}

func (s *secretRecord) move(stage, to string) {
	for id, v := range s.Versions {
		v.Stages = slices.DeleteFunc(v.Stages, func(had string) bool { return had == stage })
		if id == to {
			v.Stages = append(v.Stages, stage)
			slices.Sort(v.Stages)
		}
	}
}

// forget drops the oldest versions without a stage beyond those that are kept.
func (s *secretRecord) forget() {
	unstaged := slices.DeleteFunc(slices.Collect(maps.Keys(s.Versions)), func(id string) bool { return len(s.Versions[id].Stages) > 0 })
	slices.SortFunc(unstaged, func(a, b string) int {
		return cmp.Or(s.Versions[a].Created.Compare(s.Versions[b].Created), strings.Compare(a, b))
	})
	for _, id := range unstaged[:max(0, len(unstaged)-maxUnstaged)] {
		delete(s.Versions, id)
	}
}

// stages lists the staging labels by version; versions without any are left out.
func (s *secretRecord) stages() map[string][]string {
	out := map[string][]string{}
	for id, v := range s.Versions {
		if len(v.Stages) > 0 {
			out[id] = slices.Clone(v.Stages)
		}
	}
	return out
}

// secretARN ends in six characters, as Secrets Manager's do. They follow from the name, so that a
// secret has the same ARN in every local cloud.
func secretARN(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", Region, Account, name, hex.EncodeToString(sum[:3]))
}

// findSecret takes a name, an ARN, or an ARN without the six characters. A secret whose recovery
// window is over is gone.
func (d *document) findSecret(id string, now time.Time) (*secretRecord, error) {
	for name, s := range d.Secrets {
		if !s.Deleted.IsZero() && !now.Before(s.Deleted) {
			delete(d.Secrets, name)
			continue
		}
		if id != "" && (id == s.Name || id == s.ARN || id == s.ARN[:len(s.ARN)-7]) {
			return s, nil
		}
	}
	return nil, secretsError("ResourceNotFoundException", "SecretId", "Secrets Manager can't find the specified secret.")
}

// findLive is findSecret for what a secret that is marked for deletion refuses.
func (d *document) findLive(id string, now time.Time) (*secretRecord, error) {
	s, err := d.findSecret(id, now)
	if err == nil && !s.Deleted.IsZero() {
		return nil, secretsError("InvalidRequestException", "SecretId",
			"You can't perform this operation on the secret because it was marked for deletion.")
	}
	return s, err
}

func (c *Cloud) secretNow() time.Time { return c.o.Now().UTC().Truncate(time.Millisecond) }

// PutSecret makes a secret, or replaces its value. One that is marked for deletion is restored.
func (c *Cloud) PutSecret(name, json string) (arn string, err error) {
	err = c.update(func(d *document) error {
		now := c.secretNow()
		s, missing := d.findSecret(name, now)
		if missing != nil {
			if s, err = newSecret(name, now); err != nil {
				return err
			}
			d.Secrets[name] = s
		}
		arn, s.Deleted = s.ARN, time.Time{}
		v := &secretVersion{String: &json, Created: now}
		if current := s.staged(currentStage); current == "" || !s.Versions[current].same(v) {
			s.put(requestID(), v, []string{currentStage})
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("cannot put secret %s: %w", name, err)
	}
	return arn, nil
}

func newSecret(name string, now time.Time) (*secretRecord, error) {
	if len(name) > maxSecretName || !secretPattern.MatchString(name) {
		return nil, secretsError("InvalidParameterException", "Name",
			"Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@, and at most %d of them",
			maxSecretName)
	}
	return &secretRecord{Name: name, ARN: secretARN(name), Created: now, Changed: now, Versions: map[string]*secretVersion{}}, nil
}
