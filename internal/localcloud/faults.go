package localcloud

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// Faults makes services fail. Those of the data plane are in Media().Faults(). All methods may be
// called at any time from any goroutine.
type Faults struct {
	cloud *Cloud

	mu      sync.Mutex
	cut     bool
	gates   []*gate
	refused map[string]*awsapi.Error // by "secret ARN" or "operation NAME"
}

func newFaults(c *Cloud) *Faults { return &Faults{cloud: c, refused: map[string]*awsapi.Error{}} }

// CutOff resets all connections, and every new one at once, as if the internet were gone.
func (f *Faults) CutOff() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
	for _, g := range f.gates {
		g.resetAll()
	}
}

// Restore ends CutOff.
func (f *Faults) Restore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = false
}

// RevokeCertificate makes the certificate of a thing worthless: no connection to the broker, no
// new credentials. Credentials issued before stay good, as in AWS. It lasts beyond a restart.
func (f *Faults) RevokeCertificate(thing string) error {
	if err := f.cloud.store.Update(func() error { f.cloud.doc.Revoked[thing] = true; return nil }); err != nil {
		return fmt.Errorf("cannot revoke the certificate of thing %s: %w", thing, err)
	}
	f.cloud.broker.Disconnect(thing)
	return nil
}

// RefuseSecret answers every reading of that secret with that error, AccessDeniedException for
// example. An empty name ends it.
func (f *Faults) RefuseSecret(arn, errName string) {
	f.refuse("secret "+arn, http.StatusBadRequest, errName)
}

// RefuseOperation answers an operation, DescribeStream for example, with that error. An empty
// name ends it.
func (f *Faults) RefuseOperation(operation string, status int, errName string) {
	f.refuse("operation "+operation, status, errName)
}

func (f *Faults) refuse(key string, status int, errName string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if errName == "" {
		delete(f.refused, key)
		return
	}
	f.refused[key] = &awsapi.Error{Status: status, Name: errName, Message: "injected: " + errName}
}

// strike returns the error that is ordered for something, or nil.
func (f *Faults) strike(key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refused[key]; err != nil {
		return err
	}
	return nil
}
