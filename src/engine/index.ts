export type { FileSession, FloatTensor, NumberTensor, Session, SessionOptions, TensorData } from './session.ts';
