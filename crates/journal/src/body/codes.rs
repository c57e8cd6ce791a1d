//! Numbers of the words in event bodies, for ever. A number is never given twice and never taken
//! back; a new word gets the next free number of its table. 0 is never used, so that a zeroed byte
//! is never a word.

use hansho_model::{
    Ability, AlarmClass, AlarmKind, AnswerChoice, AssignmentEnd, Availability, AvailabilityReason,
    CallBackOutcome, CallEnd, Deviation, Door, FixMethod, FrameFault, IncidentKind,
    IncidentOutcome, IncidentSubkind, Lane, Language, LocationFault, LocationMark, LocationShape,
    LocationSource, Mode, NoticeKind, OrderWord, Outcome, Phase, Replacing, Role, Severity,
    SignalOutcome, Template, UnitKind, UnitStatus, Why,
};

use super::BodyError;

/// A word of the model that has a number in the journal.
pub(super) trait Code: Sized + Copy {
    /// Name of the table, for errors.
    const TABLE: &'static str;

    /// Its number.
    fn code(self) -> u8;

    /// From its number.
    fn from_code(code: u8) -> Result<Self, BodyError>;
}

macro_rules! codes {
    ($($name:ident { $($number:literal = $variant:ident,)+ })+) => {$(
        impl Code for $name {
            const TABLE: &'static str = stringify!($name);

            fn code(self) -> u8 {
                match self { $(Self::$variant => $number,)+ }
            }

            fn from_code(code: u8) -> Result<Self, BodyError> {
                match code {
                    $($number => Ok(Self::$variant),)+
                    _ => Err(BodyError::UnknownCode { table: Self::TABLE, code }),
                }
            }
        }
    )+

        /// Every table as text: the name, then number and word. A golden file holds it.
        #[cfg(test)]
        pub(super) fn tables() -> String {
            let mut text = String::new();
            $(
                text.push_str(concat!(stringify!($name), "\n"));
                $(text.push_str(concat!("  ", $number, " ", stringify!($variant), "\n"));)+
            )+
            text
        }
    };
}

codes! {
    AlarmClass { 1 = Life, 2 = Check, 3 = Fault, 4 = Note, 5 = Test, }
    AlarmKind {
        1 = Help, 2 = Medical, 3 = Fall, 4 = Fire, 5 = Gas, 6 = Panic, 7 = Water, 8 = Temperature,
        9 = Inactivity, 10 = NoReport, 11 = Voice, 12 = Mains, 13 = Battery, 14 = Radio, 15 = Line,
        16 = Tamper, 17 = Cancel, 18 = Presence, 19 = Test, 20 = Clock, 21 = Unreadable, 22 = Other,
        23 = Removal, 24 = LeftZone, 25 = EnteredZone, 26 = Silent, 27 = Call,
        28 = Message,
    }
    Phase { 1 = New, 2 = Restored, 3 = Still, }
    IncidentKind {
        1 = Fire, 2 = Ems, 3 = Rescue, 4 = Precaution, 5 = Disaster, 6 = Search, 7 = Support,
        8 = Other,
    }
    SignalOutcome {
        1 = NewIncident, 2 = Joined, 3 = Information, 4 = Transferred, 5 = NotEmergency,
        6 = Mistake, 7 = Prank, 8 = Test, 9 = NothingFound, 10 = Found, 11 = Returned,
    }
    IncidentOutcome {
        1 = Handled, 2 = FalseAlarm, 3 = Prank, 4 = Cancelled, 5 = Transferred, 6 = NothingFound,
    }
    Role { 1 = Dispatcher, 2 = Supervisor, 3 = DisasterManager, 4 = Administrator, 5 = Viewer, 6 = Crew, }
    Template { 1 = PendantAlarm, 2 = TrackerLeftZone, 3 = TrackerReturned, 4 = TrackerStillAway, }
    Outcome { 1 = Done, 2 = Failed, 3 = Uncertain, }
    AnswerChoice { 1 = Coming, 2 = Late, 3 = Cannot, 4 = Arrived, }
    Lane { 1 = A, 2 = B, 3 = C, 4 = D, }
    FrameFault {
        1 = BadFrame, 2 = BadLength, 3 = BadCrc, 4 = MalformedHeader, 5 = MalformedBody,
        6 = BadTimestamp, 7 = BadPayload, 8 = DecryptFailed, 9 = NoKey, 10 = MissingTimestamp,
        11 = TimestampOutOfWindow, 12 = EncryptionRequired, 13 = UnknownAccount, 14 = UnknownId,
        15 = NotATransmitterMessage, 16 = TooLong, 17 = WrongQos, 18 = NotAllowed,
    }
    Language { 1 = Ja, 2 = En, }
    Mode { 1 = Real, 2 = Training, 3 = Demo, }
    Door { 1 = Dc09, 2 = Console, 3 = Answers, 4 = Sip, 5 = Mqtt, 6 = Watch, 7 = Quic, 8 = Sbd, }
    FixMethod { 1 = Gnss, 2 = Wifi, 3 = Cell, 4 = Unknown, }
    Deviation {
        1 = CrcWithCr, 2 = RawCrc, 3 = EmptyLine, 4 = NoLine, 5 = LowerCase, 6 = SequenceZero,
        7 = AccountNotHex, 8 = HeaderWithoutAccount, 9 = DataWithoutAccount, 10 = LoosePayload,
        11 = OsborneHoffman, 12 = TrailingPad, 13 = UnreadableStamp,
        14 = AlarmFromTelemetry, 15 = Damaged,
    }
    IncidentSubkind {
        1 = Building, 2 = Forest, 3 = Vehicle, 4 = Ship, 5 = Alarm, 6 = Illness, 7 = Cpa, 8 = Mass,
        9 = Traffic, 10 = Water, 11 = Gas, 12 = Flood, 13 = Landslide, 14 = Tsunami,
    }
    CallBackOutcome { 1 = Reached, 2 = NoAnswer, 3 = Busy, 4 = WrongNumber, }
    CallEnd { 1 = Caller, 2 = Desk, 3 = Lost, }
    LocationSource { 1 = Value, 2 = Reference, }
    LocationShape {
        1 = Point, 2 = Circle, 3 = Ellipse, 4 = ArcBand, 5 = Polygon, 6 = Sphere, 7 = Ellipsoid,
        8 = Prism,
    }
    LocationFault {
        1 = Xml, 2 = Dtd, 3 = Namespace, 4 = NoLocation, 5 = Crs, 6 = Range, 7 = Number, 8 = Uom,
        9 = Shape, 10 = Ring, 11 = CidMissing, 12 = Syntax, 13 = Scheme, 14 = Size, 15 = NotAsked,
    }
    LocationMark { 1 = Stale, 2 = Clock, 3 = NoTime, 4 = Outside, 5 = Wide, 6 = LooksSwapped, }
    UnitKind {
        1 = Command, 2 = Pump, 3 = Tank, 4 = Mini, 5 = Ladder, 6 = Rescue, 7 = Chemical, 8 = Boat,
        9 = Logistics, 10 = Ambulance,
    }
    Ability {
        1 = Command, 2 = Pump, 3 = Water, 4 = Ladder, 5 = Rescue, 6 = Extrication,
        7 = ThermalCamera, 8 = Drone, 9 = Foam, 10 = WaterRescue, 11 = Lighting, 12 = AirRefill,
        13 = Ambulance, 14 = Als, 15 = FourWheelDrive, 16 = Narrow,
    }
    Availability { 1 = Available, 2 = Delayed, 3 = OutOfService, 4 = Off, }
    AvailabilityReason { 1 = Maintenance, 2 = Crew, 3 = Training, 4 = Reassigned, }
    UnitStatus {
        1 = Ordered, 2 = Acknowledged, 3 = EnRoute, 4 = OnScene, 5 = Working, 6 = Transporting,
        7 = AtHospital, 8 = Returning, 9 = InStation, 10 = Cancelled,
    }
    AssignmentEnd { 1 = Returned, 2 = Cancelled, 3 = Diverted, 4 = Released, }
    Why {
        1 = NearestByLine, 2 = HomeStation, 3 = OnlyWithCapability, 4 = Diverted,
        5 = StalePosition, 6 = Delayed, 7 = Farther, 8 = NotNeeded, 9 = Busy, 10 = AlreadyOrdered,
        11 = NoCrew, 12 = OutMaintenance, 13 = OutCrew, 14 = OutTraining, 15 = OutReassigned,
        16 = OutOff, 17 = NoPlace,
    }
    NoticeKind { 1 = CallOut, 2 = Muster, 3 = Search, 4 = Information, 5 = AllClear, }
    Replacing { 1 = Correction, 2 = Withdrawal, }
    Severity { 1 = Extreme, 2 = Severe, 3 = Moderate, 4 = Minor, 5 = Unknown, }
    OrderWord { 1 = Ordered, 2 = Changed, 3 = Withdrawn, }
}
