package agent

import (
	"net/http"
	"os"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/web"
)

// settingsTable lists the settings in effect, and where each is set.
func (a *Agent) settingsTable() []localapi.Setting {
	reading, err := a.o.Source.Read() // a reload may have had another one than the start
	if err != nil || !a.o.Source.HasFile() {
		reading = a.o.Initial
	}
	return reading.Table(a.settings())
}

// newWeb builds the web pages, where an address is set. They are a client of the local API.
func (a *Agent) newWeb() error {
	s := a.settings()
	if s.Web.Address == "" {
		return nil
	}
	dir, err := a.stateDirectory()
	if err != nil {
		return err
	}
	hostname, _ := os.Hostname() // without one its addresses name it
	a.web, err = web.New(web.Options{
		Address: s.Web.Address, Certificate: s.Web.Certificate, Key: s.Web.Key,
		AddressVariable: settings.EnvWebAddress, CertificateVariable: settings.EnvWebCert, KeyVariable: settings.EnvWebKey,
		Dir: dir, Thing: s.IoT.ThingName, Hostname: hostname, Component: a.health.Component("", health.JobAPI), Log: a.log, Now: time.Now,
		API: func(w http.ResponseWriter, r *http.Request, right localapi.Right, who string) {
			a.api.Serve(w, r, right, who)
		},
	})
	return err
}
