package localcloud

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/secretsmanager"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// document is what is kept in state/cloud.json.
type document struct {
	Region   string                 `json:"region,omitempty"` // in which all of it is; empty: the one of earlier versions
	Ports    ports                  `json:"ports"`
	Key      []byte                 `json:"key"` // what access keys are derived from
	Streams  kvs.Streams            `json:"streams"`
	Secrets  secretsmanager.Secrets `json:"secrets"`
	SiteWise sitewise.State         `json:"sitewise"`
	Revoked  map[string]bool        `json:"revoked,omitempty"` // things
}

type ports struct {
	API         int `json:"api"`
	Credentials int `json:"credentials"`
	MQTT        int `json:"mqtt"`
}

// open reads the document of a directory, or begins a new one. One of another region is refused: all ARNs in it name that.
func (d *document) open(dir string, home account.Home) (*state.Store, error) {
	*d = document{Streams: kvs.Streams{}, Secrets: secretsmanager.Secrets{}, SiteWise: sitewise.NewState(), Revoked: map[string]bool{}}
	store, found, err := state.Open(dir, d)
	if err != nil {
		return nil, err
	}
	if kept := account.Home(d.Region); found && kept.Region() != home.Region() {
		return nil, errors.Join(fmt.Errorf("the local cloud in %s plays %s: start it with --region %s, or in another directory",
			filepath.Dir(dir), kept.Region(), kept.Region()), store.Close())
	}
	d.Region = home.Region()
	if !found {
		d.Key = make([]byte, 32)
		_, _ = rand.Read(d.Key) // never fails
	}
	d.Secrets.Adopt()
	return store, nil
}

func (c *Cloud) isRevoked(thing string) (revoked bool) {
	_ = c.store.View(func() error {
		revoked = c.doc.Revoked[thing]
		return nil
	})
	return revoked
}
