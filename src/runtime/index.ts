export type { FloatTensor, Session, SessionOptions, TensorData } from './session.ts';
