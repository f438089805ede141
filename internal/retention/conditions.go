package retention

import (
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// The codes of the conditions.
const (
	codeFull     = "limit-reached"
	codeLow      = "disk-low"
	codeLost     = "deleted-before-upload"
	codeClock    = "clock"
	codeLosses   = "losses"
	codePolicies = "policies"
	// CodeReserve is that of a reserve that does not fit the disk.
	CodeReserve = "reserve-too-large"
	codeFilled  = "disk-filled"
	codeHeld    = "recordings-held"
	codeBarren  = "disk-not-freed"
)

// The scopes.
const (
	scopeLost     health.Scope = "losses"
	scopeKeep     health.Scope = "keep" // writing the file of losses
	scopePolicies health.Scope = "policies"
	scopeClock    health.Scope = "clock"
	scopeReserve  health.Scope = "reserve"
	scopeFilled   health.Scope = "filled"
	scopeHeld     health.Scope = "held"
	scopeBarren   health.Scope = "barren"
)

// pauseScope is that of a reason to pause. A stream may have several reasons at once.
func pauseScope(code string) health.Scope { return health.Scope("pause/" + code) }

// report raises a condition of the disk, or ends it without a fault.
func (k *Keeper) report(scope health.Scope, severity health.Severity, fault *health.Fault) {
	part := k.o.Health.Part("", health.JobRetention)
	if fault == nil {
		part.OK(scope)
		return
	}
	if part.Report(scope, severity, fault) {
		k.o.Log.Warn("disk condition raised", zap.String("code", fault.Code), zap.Error(fault))
	}
}

// reportReserve says that the reserve does not fit the disk.
func (k *Keeper) reportReserve(total uint64) {
	if k.o.Unfit != nil {
		k.report(scopeReserve, health.Degraded, k.o.Unfit(total))
	}
}

// reportFilled says who fills the disk when our media is too little to free what is to be free.
func (k *Keeper) reportFilled(d diskState, total uint64, reaches bool) {
	if reaches {
		k.report(scopeFilled, health.Degraded, nil)
		return
	}
	size := signed(total)
	k.report(scopeFilled, health.Degraded, health.SystemFault(codeFilled, nil,
		"The disk has %s: our recordings take %s, everything else %s, and %s are free. So the %s that are to stay free cannot be had by "+
			"deleting recordings, "+
			"and none is deleted for it that is not uploaded: delete other files on the disk, or lower AWS_KVS_EDGE_MIN_FREE_DISK.%s",
		humanize.Bytes(size), humanize.Bytes(d.ours), humanize.Bytes(max(0, size-d.free-d.ours)), humanize.Bytes(max(0, d.free)),
		humanize.Bytes(d.need),
		k.quarantined()))
}

// reportHeld says that segments are passed over as somebody else has them open.
func (k *Keeper) reportHeld(segments int, bytes int64) {
	if segments == 0 {
		k.report(scopeHeld, health.Info, nil)
		return
	}
	k.report(scopeHeld, health.Info, health.SystemFault(codeHeld, nil,
		"The disk runs low, and another program holds %s (%s) that would be deleted: they are kept for %s at most, as deleting them frees "+
			"nothing before; "+
			"end the export, the player, the backup or the snapshot.", humanize.Count(segments, "recording"), humanize.Bytes(bytes),
		humanize.Span(passOver)))
}

// reportBarren says that the disk does not free what is deleted.
func (k *Keeper) reportBarren(d diskState) {
	if k.account.futile == 0 || d.missing() == 0 {
		k.report(scopeBarren, health.Degraded, nil)
		return
	}
	k.report(scopeBarren, health.Degraded, health.SystemFault(codeBarren, nil,
		"The disk does not free what is deleted: %s were, and it shows nothing of it. So hardly anything more is deleted for it: "+
			"remove snapshots of the file system, or what else is written to the disk.", humanize.Bytes(k.account.futileBytes)))
}
