package hub

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Host is where an agent speaks to a service.
type Host struct {
	endpoint.Place
	Refused error // why the host is not used, or why there is none: a *health.Fault; nil when all is well
}

// Service is what to say of the host when it does not answer.
func (h Host) Service() Service {
	return Service{Name: h.Place.Service.Name, URL: h.URL, Setting: h.Setting}
}

// serviceAt is what to say of a service when it does not answer.
func serviceAt(cfg awsclient.Config, s *endpoint.Service) Service {
	place, err := cfg.Endpoints().Of(s, cfg.Region())
	return Host{place, err}.Service()
}

// Hosts lists the services that an agent with these settings asks over the SDK, and where. Nothing is sent. The settings
// are complete: WithEndpoints has seen them.
func Hosts(s settings.Settings) (list []Host) {
	for _, service := range endpoint.Services() {
		switch service {
		case endpoint.STS:
			if s.AccountID != "" || s.IoT.NoThing != "" {
				continue
			}
		case endpoint.CloudWatch:
			if !s.CloudWatch {
				continue
			}
		case endpoint.SiteWise, endpoint.SiteWiseData:
			if s.SiteWise.HubAsset == "" {
				continue
			}
		}
		place, err := s.Endpoints.Of(service, s.Region)
		list = append(list, Host{place, err})
	}
	return list
}

// GivenHosts lists those of AWS IoT, which the settings name; none where Greengrass provides the credentials.
func GivenHosts(s settings.Settings) (list []Host) {
	given := func(service *endpoint.Service, address string) {
		if address != "" {
			place, err := s.Endpoints.Given(service, address)
			list = append(list, Host{place, err})
		}
	}
	if s.IoT.TokenExchange.URL == "" {
		given(endpoint.IoTCredentials, s.IoT.CredentialEndpoint)
	}
	given(endpoint.IoTData, s.IoT.DataEndpoint)
	return list
}
