package logevent

import "go.uber.org/zap/zapcore"

const (
	info    = zapcore.InfoLevel
	warning = zapcore.WarnLevel
	failure = zapcore.ErrorLevel
)

const (
	checkDisk    = "Check that disk; it is tried again."
	pleaseReport = "This is an error in the agent: please report it with the log."
)

// Groups lists every event of the agent.
var Groups = []Group{
	{"The agent", agentRows},
	{"Streams and jobs", jobRows},
	{"Configuration", configurationRows},
	{"Identity and metrics", identityRows},
	{"Recording", recordingRows},
	{"Recordings on the disk", storeRows},
	{"Upload", uploadRows},
}

var agentRows = []Row{
	{AgentStarted, info, "agent started", "The store is open; jobs follow with the configuration."},
	{AgentStopping, info, "agent stopping", "Recorders finish their segments, uploads end after the fragment in flight."},
	{AgentStopped, info, "agent stopped", "Everything is closed; nothing that was recorded is lost."},
	{StartFailed, failure, "agent not started", "The error names what must be changed. systemd tries again every 2 s."},
	{StoreNotClosed, failure, "recording store not closed cleanly", "The next start repairs what was left. Check the disk."},
	{StateNotCleaned, warning, "leftover files in the state directory not removed",
		"They do no harm. Check the owner of `AWS_KVS_EDGE_STATE_DIRECTORY`."},
	{SettingsReloaded, info, "settings reloaded",
		"The fields name the variables, the streams that were restarted, and what needs a restart."},
	{LogLevelChanged, warning, "log level changed",
		"A user ran `kvs-edge-agent log-level` or used the local API. The next start has the level of the settings."},
	{ClockStepped, info, "wall clock stepped; schedules re-evaluated",
		"The clock was set, as at the first synchronisation after a start."},
	{ClockAgrees, info, "hub's clock agrees with that of AWS again", "Ends `clock-off`."},
	{TimeZoneChanged, info, "system time zone changed; schedules re-evaluated", "Schedules without a time zone of their own follow it."},
	{TimeZoneUnreadable, warning, "system time zone unreadable; the previous one stays in effect",
		"Check `/etc/localtime`, or `TZ` of the service."},
	{TimerfdUnavailable, warning, "timerfd unavailable; polling the wall clock",
		"A step of the clock is noticed within a second. Nothing needs to be done."},
	{SystemdNotNotified, warning, "systemd not notified",
		"The watchdog of systemd may start the agent again. Check `NotifyAccess=` and `$NOTIFY_SOCKET`."},
	{WatchdogUnreadable, warning, "systemd watchdog interval unreadable", "The watchdog is not served. Check `WatchdogSec=` of the unit."},
	{SocketRestored, warning, "socket of the local API was deleted outside the agent; created again",
		"Clients connect again. Find out what cleans the directory."},
	{RequestStuck, warning, "request of the local API still open at the end",
		"The agent stopped without waiting for it any longer. Nothing needs to be done."},
	{MediaCut, warning, "answer with recorded media cut off", "The client got part of the media. The error says why; ask again."},
}

var jobRows = []Row{
	{JobStarted, info, "job started", "A stream's recording or upload began, or continues with a changed configuration."},
	{JobRetried, warning, "job ended within its window; it is run again", "The error says why. It is tried again after `wait`."},
	{JobStopFailed, warning, "job ended with an error at the end of its window",
		"What the job had finished is safe. The error says what it had not."},
	{StreamStopped, info, "stream no longer configured for this hub; its media is kept", "Retention deletes the media in time."},
	{StreamDeleted, info, "configuration and media of the stream deleted",
		"AWS asked for it with the deletion of the edge configuration."},
	{RecordingsDeleted, warning, "recordings of an unconfigured stream deleted on request",
		"A user ran `kvs-edge-agent streams delete` or used the local API."},
	{HoldAdded, info, "hold added, whose recordings are not deleted",
		"Somebody asked for it with `kvs-edge-agent hold add` or over the local API: `askedBy` says who."},
	{HoldRemoved, warning, "hold removed, whose recordings may be deleted again",
		"Somebody asked for it, or its time was over: `askedBy` says which, and `addedBy` who had asked for the hold."},
}

var configurationRows = []Row{
	{ConfigurationReceived, info, "configuration received", "A new version of a stream's edge configuration was accepted."},
	{ConfigurationGone, info, "configuration no longer listed for this hub; stream stops, its media is kept",
		"The edge configuration belongs to another hub now, or the stream was deleted."},
	{DeletionReceived, info, "deletion of a configuration received", "The stream's jobs stop and its media is deleted."},
	{HubARNLearned, info, "hub ARN learned from a configuration",
		"The hub could not find out by itself, and lists its configurations now."},
	{ControlPlaneRecovered, info, "configurations can be listed again", "Ends `control-plane`."},
	{MQTTConnected, info, "connected to AWS IoT", "Ends `mqtt`."},
	{MQTTNotUsed, info, "no connection to AWS IoT is configured", "The hub has no device certificate. Its configurations are listed."},
	{MQTTRetainAllowed, info, "retained messages allowed by AWS IoT", "Ends `mqtt-retain`."},
	{UploadRequestsDenied, info, "certificate's policy denies the subscription to upload requests",
		"The cloud cannot ask for uploads on demand. Allow iot:Subscribe and iot:Receive on the topic, if it should."},
	{UploadRequestsLost, warning, "upload requests from before the restart unreadable",
		"Ask for these uploads again, and check the disk with `AWS_KVS_EDGE_STATE_DIRECTORY`."},
	{UploadRequestsNotSaved, warning, "upload requests not saved; a restart would lose them", checkDisk},
	{StatusNotEncoded, failure, "status message not encoded", pleaseReport},
	{EventBegan, info, "event began", "Its media goes to the cloud before everything else; `kvs-edge-agent events` shows how far it is."},
	{EventFinished, info, "all that was recorded of an event is in the cloud",
		"But for the fragments that are `refused`, which stay on the hub."},
	{EventMediaLost, warning, "some media of an event was deleted before it was in the cloud",
		"The event has ended, and `lost` of its fragments are nowhere. Give the stream more space, or trigger such events with a hold: it " +
			"keeps their media."},
	{EventNotHeld, warning, "media of an event is not held",
		"The trigger asked for a hold that was refused; `error` says why, with the numbers. The event goes to the cloud all the same. " +
			"Make room, and use `kvs-edge-agent hold add`, or trigger the event again while it is open."},
	{EventsDenied, info, "certificate's policy denies the subscription to events",
		"The cloud cannot trigger events. Allow iot:Subscribe and iot:Receive on the topic, if it should."},
	{HoldsDenied, info, "certificate's policy denies the subscription to requests about holds",
		"The cloud cannot add or remove holds. Allow iot:Subscribe and iot:Receive on the topic, if it should."},
	{EventAnswersLost, warning, "which events the cloud waits for is unreadable",
		"These events go to the cloud, but their last answers are not sent. Check the disk with `AWS_KVS_EDGE_STATE_DIRECTORY`."},
	{EventAnswersNotSaved, warning, "which events the cloud waits for is not saved; a restart would lose it", checkDisk},
	{EventsFull, info, "the oldest finished events are no longer listed", "As many are kept as can be; their media is not touched."},
	{EventsLost, warning, "events from before the restart unreadable",
		"Their media is on the hub, but goes up only as the stream's upload says. Check the disk with `AWS_KVS_EDGE_STATE_DIRECTORY`."},
	{StreamFileRead, info, "stream file read", "The stream follows what the file says."},
	{StreamFileGone, info, "stream file removed; its stream stops, its media is kept", "Retention deletes the media in time."},
	{SiteWiseCameraRead, info, "camera asset of AWS IoT SiteWise read", "The stream follows what its properties say."},
	{SiteWiseCameraGone, info, "camera asset of AWS IoT SiteWise gone; its stream stops, its media is kept",
		"It is no longer below the hub's asset. Retention deletes the media in time."},
	{SiteWiseRecovered, info, "AWS IoT SiteWise can be read again", "Ends `sitewise`."},
	{SiteWiseRequested, info, "upload requested over AWS IoT SiteWise", "The fields say of which stream, and what."},
	{SiteWiseAnswered, info, "upload requested over AWS IoT SiteWise ended", "`details` says why not all of it is in the cloud, if so."},
	{SiteWiseRequestsLost, warning, "requests over AWS IoT SiteWise of before not known",
		"The file with them cannot be read. Those of the last five minutes are followed, others have to be made again."},
	{StreamCreated, info, "stream created", "It did not exist in Kinesis Video Streams. Its retention is that of the settings."},
	{CameraURLRead, info, "camera URL read from its secret", "The URL is new or has changed; its recorder connects with it."},
	{CameraSecretsReadable, info, "all camera secrets can be read again", "Ends `camera-secret`."},
}

var identityRows = []Row{
	{CredentialsRenewed, info, "credentials renewed",
		"Ends the condition about credentials. Renewals without a failure before are not logged."},
	{CertificateReplaced, info, "device certificate replaced", "New connections use the certificate that is in the files now."},
	{CertificateReadable, info, "device certificate can be read again", "Ends `device-certificate`."},
	{MetricsRecovered, info, "metrics are sent again", "Ends the condition about metrics."},
}

var recordingRows = []Row{
	{RecordingResumed, info, "recording resumed",
		"Frames are recorded again: ends `camera`, `recording` and the other conditions of recording."},
	{MissingResent, warning, "missing fragments are sent again", "An audit did not find fragments in the cloud that were acknowledged: " +
		"they are sent again before their recordings are deleted."},
	{RecordingAllowed, info, "pause of recording ended", "There is room again on the disk, or below the stream's size limit."},
	{FilePlayed, info, "media file played to its end",
		"The stream records nothing more until its window opens again, or its job is restarted."},
	{TransportSwitched, info, "switching RTSP transport", "The last session failed in a way that another transport may avoid."},
	{CameraClockUsed, info, "times follow the camera's clock", "`ahead` is by how much it is ahead of the hub's clock."},
	{TimestampsNormal, info, "camera's timestamps run at the right pace again", "Ends `timestamps`."},
	{TimesAfterFreeze, info, "times follow the hub's clock after a standstill of the hub",
		"The hub was suspended or starved; no camera is to blame."},
	{TimesAfterStep, info, "wall clock stepped forward; new segment begins", "The clock was set; recorded times follow it."},
	{TimesNotCorrected, warning, "recorded times ahead of the clock and not corrected yet",
		"The disk refused the note about it. " + checkDisk},
	{CorrectionNotNoted, warning, "correction of recorded times not written yet", "Recordings have wrong times for now. " + checkDisk},
	{SegmentUnfinished, warning, "segment not finished; the store repairs it later",
		"The disk refused the end of the segment. Check that disk."},
	{SegmentNotSaved, failure, "segment not finished after an internal error",
		"The store repairs the segment, at the next start at the latest. " + pleaseReport},
}

var storeRows = []Row{
	{DiskRecovered, info, "recording disk recovered", "Ends `disk`."},
	{RecordingsReadable, info, "all recordings can be read again", "Ends `recordings-unreadable`."},
	{SegmentRecovered, info, "segment recovered that was open when the agent ended",
		"A crash or a power cut ended the segment; what was complete is kept. `bytesCut` is what was not."},
	{SegmentRecoveredDamaged, warning, "segment recovered with damage that the disk caused",
		"The disk lost or changed media: what is damaged is a gap and never uploaded. Check the disk."},
	{SegmentDeleted, info, "segment deleted", "Retention deleted media of a stream that is not uploaded; `reason` says why."},
	{SegmentVanished, failure, "segment's file was deleted outside the agent; no longer listed",
		"The segment is lost. Find out who deletes files of the recording directory."},
	{FileQuarantined, warning, "unreadable file moved to quarantine",
		"Look at the file, then delete it. The error says why it cannot be read."},
	{StreamDirectoryRestored, warning, "directory of the stream or its marker was deleted outside the agent; created again",
		"Find out who deletes files of the recording directory."},
	{VolumeFileRestored, warning, "file of the recording directory was deleted outside the agent; created again",
		"Find out who deletes files of the recording directory."},
	{RecordingsVanished, failure, "recording directory was deleted outside the agent; recording begins again",
		"All recordings are lost. Find out who deleted them."},
	{ForeignFilesLeft, warning, "other files left in the directory of a deleted stream",
		"The agent deletes only its own files: look at them, and delete them."},
	{GapsNotNoted, warning, "gaps of the stream's segments not written yet", "Gaps of some segments are unknown for now. " + checkDisk},
	{VolumeNotNoted, warning, "identity of the recording disk not written yet",
		"A change of the disk would not be noticed. " + checkDisk},
	{FormatNotNoted, warning, "format of the recording directory not written yet",
		"An older version would not notice newer files. " + checkDisk},
	{LossesUnreadable, warning, "count of media deleted before upload unreadable; it starts from 0",
		"Check the disk with `AWS_KVS_EDGE_STATE_DIRECTORY`."},
	{PoliciesUnreadable, warning, "retention of unconfigured streams unreadable; the default applies",
		"Check the disk with `AWS_KVS_EDGE_STATE_DIRECTORY`."},
}

var uploadRows = []Row{
	{UploadResumed, info, "upload resumed", "Ends `upload`."},
	{UploadNothingLeft, info, "nothing left to upload after the interruption",
		"Ends `upload`: what failed was refused by the service, or deleted."},
	{UploadBreaksEnded, info, "no fragment left that the connection breaks with", "Ends `upload-breaks`."},
	{UploadDiskRecovered, info, "recordings readable and upload progress written again", "Ends `upload-disk`."},
	{UploadModeChanged, info, "upload mode changed", "The stream's tag, or a reload, chose `mode`."},
	{AudioUploaded, info, "audio is part of the upload again, or the camera sends none", "Ends `audio-not-uploaded`."},
	{FragmentSplit, info, "fragment sent in parts", "The connection broke with this fragment; its parts get through more easily."},
	{RefusedRetried, info, "refused fragments queued for upload again", "The service takes fragments again with the error in `codes`."},
	{RefusedUnreadable, warning, "list of a segment's refused fragments unreadable", "They are not sent again. Check the disk."},
	{SegmentNotRequeued, warning, "segment not queued for upload again", "The next start tries again. Check the disk."},
	{ProgressUnreadable, warning, "upload progress of a segment unreadable; it is sent again",
		"The service may receive fragments twice. Check the disk."},
	{StreamTagsReadable, info, "tags of the stream can be read again", "Ends `stream-tags`."},
	{FragmentTagsRejected, warning, "fragment tags not changed", "The error says which limit the stream's tags exceed: change the tags."},
	{TallyNotRead, warning, "count of uploads per day unreadable; it is started again",
		"`cost` knows less of the past days. Check the disk of the state directory."},
	{TallyNotSaved, warning, "count of uploads per day not saved", "It is tried again; `advice` says what to do."},
	{LineUsageDamaged, warning, "file with what the line was used for damaged",
		"The other one is used, or else the count begins again. Check the disk of the state directory."},
	{CapPeriodBegan, info, "period of the line's cap began", "`date` is its first day, `counted` what belongs to it already."},
	{CapFree, info, "line's cap is free again", "Ends `upload-cap`."},
	{CapSaved, info, "usage of the line's cap saved again", "Ends `upload-cap-state`."},
	{StorageTierDenied, info, "no permission to read the storage tier of streams",
		"`status` does not show it. Allow `kinesisvideo:DescribeStreamStorageConfiguration` if it should; it is asked for again once a day."},
	{StorageTierReadable, info, "storage tier of streams can be read", "The permission was granted."},
	{FragmentCostEnded, info, "length of fragments suits the storage tier", "Ends `fragment-cost`."},
}
