package agent

import (
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// codeMisspelt is that of the condition that variables look like settings, but no setting has their name.
const codeMisspelt = "settings-misspelt"

// scopeNames is the names of the variables that are set.
const scopeNames health.Scope = "names"

// noteMisspelt logs the variables whose names are wrong, and shows them in status until a reload finds none.
func noteMisspelt(part *health.Part, log *zap.Logger, r settings.Reading) {
	list := r.Misspelt()
	if len(list) == 0 {
		part.OK(scopeNames)
		return
	}
	for _, m := range list {
		log.Warn("no setting has this name: look it up in the list of settings", zap.String("name", m.Name), zap.String("meant", m.Meant))
	}
	part.Report(scopeNames, health.Info, health.UserFault(codeMisspelt, nil, "%s", settings.MisspeltText(list, r)))
}
