from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN: _ClassVar[MessageType]
    HEARTBEAT: _ClassVar[MessageType]
    HEARTBEAT_ACK: _ClassVar[MessageType]
    SNAPSHOT_REQUEST: _ClassVar[MessageType]
    SNAPSHOT_RESPONSE: _ClassVar[MessageType]
    STATE_UPDATE: _ClassVar[MessageType]
    ERROR: _ClassVar[MessageType]
    AUTH: _ClassVar[MessageType]
    AUTH_SUCCESS: _ClassVar[MessageType]
    AUTH_FAILURE: _ClassVar[MessageType]
    DEVICE_JOINED: _ClassVar[MessageType]
    DEVICE_LEFT: _ClassVar[MessageType]
    DEVICE_LIST: _ClassVar[MessageType]
    BROADCAST: _ClassVar[MessageType]
    ADMIN_UPDATE: _ClassVar[MessageType]
UNKNOWN: MessageType
HEARTBEAT: MessageType
HEARTBEAT_ACK: MessageType
SNAPSHOT_REQUEST: MessageType
SNAPSHOT_RESPONSE: MessageType
STATE_UPDATE: MessageType
ERROR: MessageType
AUTH: MessageType
AUTH_SUCCESS: MessageType
AUTH_FAILURE: MessageType
DEVICE_JOINED: MessageType
DEVICE_LEFT: MessageType
DEVICE_LIST: MessageType
BROADCAST: MessageType
ADMIN_UPDATE: MessageType

class WebSocketMessage(_message.Message):
    __slots__ = ("type", "session_id", "user_id", "timestamp", "payload", "correlation_id", "device_id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    type: MessageType
    session_id: str
    user_id: str
    timestamp: int
    payload: bytes
    correlation_id: str
    device_id: str
    def __init__(self, type: _Optional[_Union[MessageType, str]] = ..., session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., timestamp: _Optional[int] = ..., payload: _Optional[bytes] = ..., correlation_id: _Optional[str] = ..., device_id: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("client_time", "last_seq")
    CLIENT_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    client_time: float
    last_seq: int
    def __init__(self, client_time: _Optional[float] = ..., last_seq: _Optional[int] = ...) -> None: ...

class HeartbeatAck(_message.Message):
    __slots__ = ("server_time", "client_time")
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TIME_FIELD_NUMBER: _ClassVar[int]
    server_time: int
    client_time: float
    def __init__(self, server_time: _Optional[int] = ..., client_time: _Optional[float] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("session_id", "user_id", "state_data", "created_at", "expires_at", "device_id", "app_version", "version", "checksum", "last_updated", "compressed", "seq", "epoch", "too_large", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_DATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    APP_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    LAST_UPDATED_FIELD_NUMBER: _ClassVar[int]
    COMPRESSED_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TOO_LARGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user_id: str
    state_data: bytes
    created_at: int
    expires_at: int
    device_id: str
    app_version: str
    version: int
    checksum: str
    last_updated: int
    compressed: bool
    seq: int
    epoch: str
    too_large: bool
    reason: str
    def __init__(self, session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., state_data: _Optional[bytes] = ..., created_at: _Optional[int] = ..., expires_at: _Optional[int] = ..., device_id: _Optional[str] = ..., app_version: _Optional[str] = ..., version: _Optional[int] = ..., checksum: _Optional[str] = ..., last_updated: _Optional[int] = ..., compressed: bool = ..., seq: _Optional[int] = ..., epoch: _Optional[str] = ..., too_large: bool = ..., reason: _Optional[str] = ...) -> None: ...

class StateUpdate(_message.Message):
    __slots__ = ("key", "value", "operation", "timestamp", "op_id", "base_version", "version", "device_id", "changes", "deleted_keys", "seq", "epoch", "checksum", "duplicate", "performer_id", "source")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    BASE_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    DELETED_KEYS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    PERFORMER_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    operation: str
    timestamp: int
    op_id: str
    base_version: int
    version: int
    device_id: str
    changes: bytes
    deleted_keys: _containers.RepeatedScalarFieldContainer[str]
    seq: int
    epoch: str
    checksum: str
    duplicate: bool
    performer_id: str
    source: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ..., operation: _Optional[str] = ..., timestamp: _Optional[int] = ..., op_id: _Optional[str] = ..., base_version: _Optional[int] = ..., version: _Optional[int] = ..., device_id: _Optional[str] = ..., changes: _Optional[bytes] = ..., deleted_keys: _Optional[_Iterable[str]] = ..., seq: _Optional[int] = ..., epoch: _Optional[str] = ..., checksum: _Optional[str] = ..., duplicate: bool = ..., performer_id: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("epoch", "seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    seq: int
    def __init__(self, epoch: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...

class AuthRequest(_message.Message):
    __slots__ = ("token", "device_id", "device_type", "device_name", "app_version", "os_version", "resume", "channel")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    APP_VERSION_FIELD_NUMBER: _ClassVar[int]
    OS_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    token: str
    device_id: str
    device_type: str
    device_name: str
    app_version: str
    os_version: str
    resume: Resume
    channel: str
    def __init__(self, token: _Optional[str] = ..., device_id: _Optional[str] = ..., device_type: _Optional[str] = ..., device_name: _Optional[str] = ..., app_version: _Optional[str] = ..., os_version: _Optional[str] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., channel: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "rate_per_s", "burst")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RATE_PER_S_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    rate_per_s: int
    burst: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., rate_per_s: _Optional[int] = ..., burst: _Optional[int] = ...) -> None: ...

class AuthResponse(_message.Message):
    __slots__ = ("success", "new_token", "expires_at", "error_message", "code", "error", "session_id", "user_id", "device_id", "connection_id", "heartbeat_interval", "version", "seq", "epoch", "recovered", "limits", "channel")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    NEW_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    success: bool
    new_token: str
    expires_at: int
    error_message: str
    code: int
    error: str
    session_id: str
    user_id: str
    device_id: str
    connection_id: str
    heartbeat_interval: int
    version: int
    seq: int
    epoch: str
    recovered: bool
    limits: Limits
    channel: str
    def __init__(self, success: bool = ..., new_token: _Optional[str] = ..., expires_at: _Optional[int] = ..., error_message: _Optional[str] = ..., code: _Optional[int] = ..., error: _Optional[str] = ..., session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., connection_id: _Optional[str] = ..., heartbeat_interval: _Optional[int] = ..., version: _Optional[int] = ..., seq: _Optional[int] = ..., epoch: _Optional[str] = ..., recovered: bool = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., channel: _Optional[str] = ...) -> None: ...

class Conflict(_message.Message):
    __slots__ = ("server_version", "client_version", "epoch", "server_checksum", "conflicting_keys")
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SERVER_CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    CONFLICTING_KEYS_FIELD_NUMBER: _ClassVar[int]
    server_version: int
    client_version: int
    epoch: str
    server_checksum: str
    conflicting_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, server_version: _Optional[int] = ..., client_version: _Optional[int] = ..., epoch: _Optional[str] = ..., server_checksum: _Optional[str] = ..., conflicting_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class ErrorMessage(_message.Message):
    __slots__ = ("code", "message", "details", "error", "recoverable", "retry_after", "conflict")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RECOVERABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    details: str
    error: str
    recoverable: bool
    retry_after: int
    conflict: Conflict
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., details: _Optional[str] = ..., error: _Optional[str] = ..., recoverable: bool = ..., retry_after: _Optional[int] = ..., conflict: _Optional[_Union[Conflict, _Mapping]] = ...) -> None: ...

class DeviceInfo(_message.Message):
    __slots__ = ("device_id", "device_type", "device_name", "os_version", "app_version", "session_id", "user_id", "connected_at", "last_seen", "is_online", "connection_id")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    OS_VERSION_FIELD_NUMBER: _ClassVar[int]
    APP_VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    IS_ONLINE_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    device_type: str
    device_name: str
    os_version: str
    app_version: str
    session_id: str
    user_id: str
    connected_at: str
    last_seen: str
    is_online: bool
    connection_id: str
    def __init__(self, device_id: _Optional[str] = ..., device_type: _Optional[str] = ..., device_name: _Optional[str] = ..., os_version: _Optional[str] = ..., app_version: _Optional[str] = ..., session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., connected_at: _Optional[str] = ..., last_seen: _Optional[str] = ..., is_online: bool = ..., connection_id: _Optional[str] = ...) -> None: ...

class DeviceJoined(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: DeviceInfo
    def __init__(self, device: _Optional[_Union[DeviceInfo, _Mapping]] = ...) -> None: ...

class DeviceLeft(_message.Message):
    __slots__ = ("device_id", "reason")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    reason: str
    def __init__(self, device_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DeviceList(_message.Message):
    __slots__ = ("session_id", "devices", "count")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    devices: _containers.RepeatedCompositeFieldContainer[DeviceInfo]
    count: int
    def __init__(self, session_id: _Optional[str] = ..., devices: _Optional[_Iterable[_Union[DeviceInfo, _Mapping]]] = ..., count: _Optional[int] = ...) -> None: ...

class Broadcast(_message.Message):
    __slots__ = ("id", "type", "message", "data", "from_device", "sent_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FROM_DEVICE_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    message: str
    data: bytes
    from_device: str
    sent_at: str
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., message: _Optional[str] = ..., data: _Optional[bytes] = ..., from_device: _Optional[str] = ..., sent_at: _Optional[str] = ...) -> None: ...

class AdminUpdate(_message.Message):
    __slots__ = ("id", "type", "message", "data", "sent_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    message: str
    data: bytes
    sent_at: str
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., message: _Optional[str] = ..., data: _Optional[bytes] = ..., sent_at: _Optional[str] = ...) -> None: ...
